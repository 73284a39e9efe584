"""What a short learning makes good of what a stage does to a published network: the table in the README.

    MICRONET_DATA=... python -m tests.benchmarks.repairing ../shared/checkpoints/kaist_v2_pr15.onnx [STEPS] [THREADS]

Correct answers on 1,000 training images that are kept apart: right after the stage, and after STEPS batches of 64.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from micronet.contract import PruneResult, QuantizeResult, SparsifyResult
from micronet.jobs import JOBS, Context, prepare_process

HELD_OUT = 1000


def stages(steps: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """Kind and settings of each row."""
    learning = {"steps": steps, "batch": 64}
    return {
        "prune 5 % of the directions": ("prune", {"ratio": 0.05, "fine_tuning": learning}),
        "sparsify to 40 % zeros": ("sparsify", {"sparsity": 0.4, "fine_tuning": learning}),
        "quantize to 8 bits, a grid per tensor": ("quantize", _widths(8, "tensor") | {"train": learning}),
        "quantize to 6 bits, a grid per filter": ("quantize", _widths(6, "channel") | {"train": learning}),
    }


def _widths(bits: int, granularity: str) -> dict[str, Any]:
    return {
        "bits": {"param_bits": bits, "mul_bits": bits},
        "quantizer": {"rule": "mse", "granularity": granularity},
    }


def answers(result: object) -> tuple[int, int]:
    """Correct answers before and after learning."""
    match result:
        case PruneResult():
            (round_,) = result.pruning.rounds
            before, training = round_.before_tuning, round_.training
        case SparsifyResult():
            (round_,) = result.sparsifying.rounds
            before, training = round_.before_tuning, round_.training
        case QuantizeResult():
            training = result.training
            before = None if training is None else training.before
        case _:
            raise TypeError(f"not a result of these: {type(result)}")
    assert before is not None
    assert training is not None
    return before.correct, training.after.correct


def main(file: str, steps: str = "150", threads: str = "2") -> None:
    """Print Markdown."""
    prepare_process()
    torch.set_num_threads(int(threads))
    data = Path(os.environ["MICRONET_DATA"])
    asked = {"track": "cifar100", "holdout": HELD_OUT / 50_000, "evaluate": False}
    print(f"| {Path(file).name} | before learning, of {HELD_OUT:,} | after {steps} steps | seconds |")
    print("| --- | --- | --- | --- |")
    for name, (kind, settings) in stages(int(steps)).items():
        job, started = JOBS[kind], time.perf_counter()
        result = job.run(job.settings.model_validate(asked | settings), Path(file), Context(data, "cpu"))
        before, after = answers(result)
        print(f"| {name} | {before} | {after} | {time.perf_counter() - started:.0f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
