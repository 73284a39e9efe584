"""Accuracy and score of a published entry at many widths, per tensor and per filter: the table in the README.

python -m tests.benchmarks.widths ../shared/checkpoints/kaist_v2_pr45.onnx
"""

import sys
from pathlib import Path

from micronet.contract import ScoreResult, ScoreSettings
from micronet.jobs import JOBS, Context, prepare_process

WIDTHS = (16, 12, 10, 9, 8, 7, 6, 5, 4)
CHOICES = (("sigmamax", "tensor"), ("sigmamax", "channel"), ("mse", "tensor"), ("mse", "channel"))


def score(path: Path, data_dir: Path, bits: int, rule: str, granularity: str) -> ScoreResult:
    """Score under the challenge's rules with weights and activations of `bits` bits."""
    settings = ScoreSettings.model_validate(
        {
            "policy": "challenge",
            "bits": {"param_bits": bits, "mul_bits": bits},
            "quantizer": {"rule": rule, "granularity": granularity},
        }
    )
    return JOBS["score"].run(settings, path, Context(data_dir, "cpu"))


def main(path: Path, data_dir: Path) -> None:
    """Print one row of a Markdown table per width."""
    prepare_process()
    headings = [f"{rule}, {'filter' if granularity == 'channel' else 'tensor'}" for rule, granularity in CHOICES]
    print("| bits | " + " | ".join(headings) + " |")
    print("| --- |" + " --- |" * len(headings), flush=True)
    for bits in WIDTHS:
        cells = []
        for rule, granularity in CHOICES:
            result = score(path, data_dir, bits, rule, granularity)
            assert result.accuracy is not None
            cells.append(f"{result.accuracy.top1:.2%}, {result.score.total:.6f}")
        print(f"| {bits} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    import os

    main(Path(sys.argv[1]), Path(os.environ["MICRONET_DATA"]))
