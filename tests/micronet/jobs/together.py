"""What `test_together` has torchrun start: a job on digits, as the command does it; each process's answer and files."""

import sys
from pathlib import Path

from micronet.jobs import JOBS, Context
from micronet.training.distributed import is_first

SMALL = {"epochs": 1, "batch": 32, "learning_rate": 0.1, "augmentation": {"crop": 0, "flip": False, "policy": "none"}}
LEARNING = {"track": "digits", "train_images": 128}
FRESH = {"architecture": {"name": "digits", "options": {"width": 4}}}
SPARSIFY = {"sparsity": 0.5, "rounds": 2, "fine_tuning": SMALL}
PRUNE = {"ratio": 0.3, "factor_images": 32, "fine_tuning": SMALL}
QUANTIZE = {"bits": {"param_bits": 6, "mul_bits": 8}, "train": SMALL}
ASKED = {
    "train": {**LEARNING, **FRESH, **SMALL},
    "prune": {**LEARNING, **PRUNE},
    "sparsify": {**LEARNING, **SPARSIFY},
    "quantize": {**LEARNING, **QUANTIZE},
    "pipeline": {**LEARNING, **FRESH, "stages": [{"stage": "train", **SMALL}, {"stage": "sparsify", **SPARSIFY}]},
}


def main(directory: Path, kinds: list[str]) -> None:
    """In `directory` the journal of each kind, and for each process its outputs and its answer."""
    mine = directory / ("first" if is_first() else "other")
    file = directory / "first" / "train" / "trained.onnx"
    for kind in kinds:
        job, outputs = JOBS[kind], mine / kind
        outputs.mkdir(parents=True, exist_ok=True)
        checkpoint = file if kind in ("prune", "sparsify", "quantize") else None
        context = Context(None, "cpu", outputs=outputs, journal=directory / f"{kind}-journal")
        result = job.run(job.settings.model_validate(ASKED[kind]), checkpoint, context)
        (mine / f"{kind}.json").write_text(result.model_dump_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
