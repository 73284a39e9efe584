"""What networks for CIFAR-100 would score before anything is pruned: the table in the README, by arithmetic alone.

python -m tests.benchmarks.candidates (needs MICRONET_DATA, for the ranges of activations)

Weights of 8 bits on one grid for each filter, activations of 8 bits, proven accumulators, under the challenge's rules;
fresh weights, whose sums are about as large as those of trained ones. Accuracies are of public models, each of one
training (imgclsmob: ordinary augmentation, no distillation), the paper's, or its authors' file's.
"""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from micronet.architectures.load import create_network
from micronet.contract import ScoreResult, ScoreSettings
from micronet.jobs import JOBS, Context, prepare_process

ZOO = "imgclsmob"
PUBLISHED = "its authors', 15 % of the weights zero"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network, and its known top-1 on the CIFAR-100 test set in percent, with the source."""

    title: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    known: float | None = None
    source: str = ""


CANDIDATES = (
    Candidate("WideResNet-28-10", "wideresnet", {}, 82.12, ZOO),
    Candidate("WideResNet-16-10", "wideresnet", {"depth": 16}, 81.05, ZOO),
    Candidate("WideResNet-40-4", "wideresnet", {"depth": 40, "width": 4}, 78.82, "paper"),
    Candidate("ResNet-20", "resnet_cifar", {"depth": 20}, 70.36, ZOO),
    Candidate("ResNet-56", "resnet_cifar", {"depth": 56}, 75.12, ZOO),
    Candidate("ResNet-110", "resnet_cifar", {"depth": 110}, 77.20, ZOO),
    Candidate("DenseNet-BC-100-12", "densenet", {}, 78.81, ZOO),
    Candidate("PyramidNet-110/48", "pyramidnet", {"depth": 110, "alpha": 48, "bottleneck": False}, 79.05, ZOO),
    Candidate("PyramidNet-110/84", "pyramidnet", {"depth": 110, "alpha": 84, "bottleneck": False}, 81.13, ZOO),
    Candidate("PyramidNet-164/48, bottlenecks", "pyramidnet", {"depth": 164, "alpha": 48}),
    Candidate("PyramidNet-272/200, bottlenecks", "pyramidnet", {}, 83.81, ZOO),
    *(
        Candidate(
            f"MobileNetV2 x {width:g}, last maps of 4x4",
            "mobilenetv2",
            {"width_multiplier": width, "image_size": 32, "num_classes": 100, "output_stride": 8},
        )
        for width in (0.5, 0.75, 1.0)
    ),
    *(
        Candidate(
            f"EfficientNet x {width:g}, last maps of 4x4",
            "efficientnet",
            {"width_multiplier": width, "image_size": 32, "num_classes": 100, "output_stride": 8},
        )
        for width in (0.5, 0.75, 1.0)
    ),
    Candidate("KAIST x 1", "kaist", {}, 80.91, PUBLISHED),
    *(Candidate(f"KAIST x {width:g}", "kaist", {"width_multiplier": width, "divisor": 8}) for width in (1.2, 1.4)),
)
EIGHT = {
    "policy": "challenge",
    "bits": {"param_bits": 8, "mul_bits": 8},
    "quantizer": {"granularity": "channel", "calibration_images": 32},
    "accumulators": "proven",
    "evaluate": False,
}


def score(candidate: Candidate, directory: Path, data_dir: Path) -> ScoreResult:
    """The score job's answer for a file of the network's fresh weights."""
    path = directory / "fresh.pth"
    network = create_network(candidate.name, {"num_classes": 100, **candidate.options})
    torch.save(network.state_dict(), path)
    architecture = {"name": candidate.name, "options": {"num_classes": 100, **candidate.options}}
    settings = ScoreSettings.model_validate({**EIGHT, "architecture": architecture})
    return JOBS["score"].run(settings, path, Context(data_dir, "cpu"))


def main(data_dir: Path) -> None:
    """Print the rows of a Markdown table, by rising score."""
    prepare_process()
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for candidate in CANDIDATES:
            found = score(candidate, Path(directory), data_dir)
            known = "" if candidate.known is None else f"{candidate.known:.2f} % ({candidate.source})"
            rows.append((found.score.total, candidate.title, found, known))
    print("| network | weights | multiplications | known top-1 | score at 8/8 |")
    print("| --- | --- | --- | --- | --- |")
    for total, title, found, known in sorted(rows, key=lambda row: row[0]):
        weights, products = found.storage.parameters / 1e6, found.operations.multiplications / 1e6
        print(f"| {title} | {weights:.2f} M | {products:.0f} M | {known} | {total:.4f} |")


if __name__ == "__main__":
    main(Path(os.environ["MICRONET_DATA"]))
