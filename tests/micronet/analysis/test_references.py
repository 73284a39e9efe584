"""SCORING section 4: published networks, to the last unit."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest
from torch import nn

from micronet.analysis.counts import Counts, count
from micronet.architectures.load import create_network, sketch_network
from micronet.graph.capture import capture
from micronet.graph.ir import Graph
from micronet.onnx_reader import import_graph, load_model
from micronet.scoring.policies import Encoding
from micronet.scoring.score import score
from micronet.tracks import BUILT_IN
from micronet.transformation.fold_constants import fold_constants
from micronet.transformation.fuse_batchnorm import fuse_batchnorm
from micronet.transformation.recognize import recognize
from tests.micronet.analysis.graphs import parameters_of, totals, weigh

CIFAR100 = BUILT_IN["cifar100"]


@dataclass(frozen=True)
class Entry:
    """A row of the table: storage and math in 32-bit units, weights of convolutions and linear layers apart."""

    weights: int
    nonzero: int
    others: int
    multiplications: int
    additions: int
    masked: float
    cheapest: float
    math: float
    score: float


OSI = Entry(467_824, 187_130, 9_160, 29_319_742, 27_093_422, 112_764.5, 112_760.5, 41_753_293, 0.007069733208)
ENTRIES = {
    "kaist_v2_pr15.onnx": Entry(
        463_464, 393_525, 7_539, 36_915_739, 34_680_250, 214_975.875, 214_529.375, 53_138_119.5, 0.010955347664
    ),
    "kaist_v2_pr45.onnx": Entry(
        463_464, 253_391, 7_539, 25_308_708, 23_073_219, 144_948.25, 144_755.3125, 35_727_573, 0.007377054662
    ),
    "osi_60.onnx": OSI,
    "osi_60_folded.onnx": OSI,
}


def read(path: Path) -> Graph:
    if not path.is_file():
        pytest.skip(f"no {path}")
    return fuse_batchnorm(recognize(fold_constants(import_graph(load_model(path)))))


@pytest.mark.parametrize("name", ENTRIES)
def test_published_entries(name: str, shared_dir: Path) -> None:
    right = ENTRIES[name]
    counts = count(read(shared_dir / "checkpoints" / name))
    assert totals(counts) == (right.multiplications, right.additions)
    sums = [layer for layer in counts.layers if layer.op in ("conv2d", "linear")]
    kernels = [max(layer.parameters, key=lambda parameter: parameter.elements) for layer in sums]
    elements, _ = parameters_of(counts)
    assert sum(kernel.elements for kernel in kernels) == right.weights
    assert sum(kernel.nonzero for kernel in kernels) == right.nonzero
    assert elements - right.weights == right.others
    for encoding, storage in (("masked", right.masked), ("cheapest", right.cheapest)):
        math_bits, storage_bits = weigh(counts, "challenge", encoding)  # type: ignore[arg-type]
        assert Fraction(storage_bits, 32) == Fraction(storage)
        assert Fraction(math_bits, 32) == Fraction(right.math)
    # the table's own storage and math make the second score 4.5e-11 less than it says
    assert total(counts, "masked") == pytest.approx(right.score, abs=5e-11)


def total(counts: Counts, encoding: Encoding) -> float:
    math_bits, storage_bits = weigh(counts, "challenge", encoding)
    storage, math = Fraction(storage_bits, 32), Fraction(math_bits, 32)
    return score(storage, math, CIFAR100.baseline_storage, CIFAR100.baseline_math).total


def test_reading_an_entry_without_giving_activations_their_names_costs_the_same(shared_dir: Path) -> None:
    path = shared_dir / "checkpoints" / "kaist_v2_pr45.onnx"
    named, plain = read(path), fuse_batchnorm(fold_constants(import_graph(load_model(path))))
    assert len(named.nodes) < len(plain.nodes)
    assert totals(named) == totals(plain)


def test_efficientnet_b0() -> None:
    """The published counts, but for the residual additions, which they charge for six times too many channels.

    counting.py is fed by a notebook that takes the channels of each sum from the squeeze-and-excitation before it,
    which are 6 times those that are added.
    """
    summed = 56 * 56 * 24 + 28 * 28 * 40 + 2 * 14 * 14 * 80 + 2 * 14 * 14 * 112 + 3 * 7 * 7 * 192
    network = create_network("efficientnet", {})
    counts = count(fuse_batchnorm(fold_constants(capture(network, (3, 224, 224)))))
    assert "batch_norm" not in {layer.op for layer in counts.layers}
    assert sum(layer.operations.additions for layer in counts.layers if layer.op == "add") == summed
    assert totals(counts) == (406_623_188, 395_601_308 - 5 * summed)
    # a fused batch norm leaves one number per channel where there were a scale and a shift
    channels = sum(module.num_features for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    trained = sum(parameter.numel() for parameter in network.parameters())
    assert parameters_of(counts)[0] == trained - channels == 5_267_540


def test_wideresnet_28_10() -> None:
    """Convolutions and the linear layer only; parameters with batch norm."""
    network = sketch_network("wideresnet", {})
    counts = count(capture(network, (3, 32, 32)))
    sums = [layer.operations for layer in counts.layers if layer.op in ("conv2d", "linear")]
    assert sum(operations.all_multiplications for operations in sums) == 5_243_386_368
    assert sum(operations.all_additions for operations in sums) == 5_240_789_504
    assert parameters_of(counts)[0] == 36_536_884


def test_the_baseline_of_digits_is_the_count_of_the_network_it_names() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    counts = count(capture(network, (1, 8, 8)))
    assert parameters_of(counts)[0] == BUILT_IN["digits"].baseline_storage
    assert totals(counts) == (307_552, 306_464)
    assert sum(totals(counts)) == BUILT_IN["digits"].baseline_math
