"""What inference stores: elements, exponents, scales; each tensor once."""

import operator

import pytest
import torch
from torch import nn

from micronet.analysis.counts import count
from micronet.analysis.parameters import EXPONENT_BITS, Parameter, parameters
from micronet.errors import UnknownOperation
from micronet.graph.capture import capture
from micronet.graph.grid import Grid, fixed_point
from micronet.graph.ir import Ref
from tests.micronet.analysis.graphs import X, aten, captured, graph, node, parameters_of, quantizer, weigh

WEIGHT = torch.tensor([[1.0, 0, 2, 0], [0, 0, 0, 0], [3, 1, 2, 1]]).view(3, 4, 1, 1)


def stored(grid: Grid | None) -> Parameter:
    formats = {} if grid is None else {"w": grid}
    step = node("y", aten.conv2d.default, X, Ref("w"))
    (parameter,) = parameters(graph(step, weights={"w": WEIGHT}, formats=formats))["y"]
    return parameter


@pytest.mark.parametrize(
    ("grid", "bits", "exponents", "scale_bits"),
    [
        (None, 32, 0, 0),
        (fixed_point(9, (3,)), 9, 1, 0),
        (fixed_point(9, (3, 2, 5), axis=0), 9, 3, 0),
        (Grid(8, -128, 127, (0.1,), (0,)), 8, 0, 32),
        (Grid(8, 0, 255, (0.1,), (7,)), 8, 0, 32 + 8),
        (Grid(8, 0, 255, (0.5,), (7,)), 8, 0, 32 + 8),  # a zero point makes a power of two a scale
        (Grid(4, -8, 7, (0.1, 0.2, 0.3), (0, 0, 0), axis=0), 4, 0, 3 * 32),
        (Grid(4, 0, 15, (0.1, 0.2, 0.3), (8, 0, 8), axis=0), 4, 0, 3 * (32 + 4)),
    ],
)
def test_a_tensor_brings_its_exponents_or_its_scales(
    grid: Grid | None, bits: int, exponents: int, scale_bits: int
) -> None:
    assert stored(grid) == Parameter("w", 12, 6, bits, exponents, scale_bits)


def test_a_quantized_value_stores_its_exponent_or_its_scale_with_its_quantizer() -> None:
    fixed = count(graph(quantizer("q", "x", 8, 0.25), node("y", aten.relu.default, Ref("q"))))
    assert weigh(fixed, "challenge")[1] == EXPONENT_BITS
    assert parameters_of(fixed) == (0, 0)
    affine = node("y", aten.fake_quantize_per_tensor_affine.default, X, 0.3, 7, 0, 255)
    assert weigh(count(graph(affine)), "challenge")[1] == 32 + 8


def test_scales_per_channel_are_stored_as_the_tensors_they_are() -> None:
    step = node("y", aten.fake_quantize_per_channel_affine.default, X, Ref("s"), Ref("z"), 1, -8, 7)
    weights = {"s": torch.full((4,), 0.3), "z": torch.zeros(4, dtype=torch.int32)}
    counts = count(graph(step, weights=weights, literals=frozenset({"z"})))
    assert parameters_of(counts) == (4, 4)
    assert weigh(counts, "challenge") == (144 * 32, 4 * 32)
    shifts = count(graph(step, weights=weights | {"s": torch.full((4,), 0.5)}, literals=frozenset({"z"})))
    assert weigh(shifts, "challenge")[0] == 0


@pytest.mark.parametrize("affine", [True, False])
def test_a_batch_norm_is_a_scale_and_a_shift_whatever_it_was_trained_with(affine: bool) -> None:
    """Of 4 channels one has scale 0 if affine, and one shift 0: its bias is what its mean takes away."""
    norm = nn.BatchNorm2d(4, affine=affine, eps=0.0).eval()
    norm.running_mean.copy_(torch.tensor([0.0, 1, 2, 3]))
    if affine:
        norm.weight.data[3] = 0
        norm.bias.data.copy_(torch.tensor([1.0, 1, 1, 1]))
    # shifts bias - mean * scale: affine 1, 0, -1, 1; otherwise 0, -1, -2, -3
    assert parameters_of(count(captured(norm, (4, 2, 2)))) == (8, (3 if affine else 4) + 3)


def test_buffers_that_nobody_reads_are_not_stored() -> None:
    norm = nn.BatchNorm2d(4)
    assert "num_batches_tracked" in dict(norm.named_buffers())
    assert parameters_of(count(captured(norm, (4, 2, 2))))[0] == 8


def test_a_norm_used_twice_is_stored_once() -> None:
    norm = nn.BatchNorm2d(4)
    assert parameters_of(count(captured(nn.Sequential(norm, nn.ReLU(), norm), (4, 2, 2))))[0] == 8


def test_a_batch_norm_whose_scale_is_computed_has_no_rule() -> None:
    module = nn.Conv2d(2, 2, 1)
    ones, zeros = torch.ones(2), torch.zeros(2)

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = module
            self.register_buffer("mean", zeros)
            self.register_buffer("variance", ones)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scale = self.conv(x).mean((0, 2, 3))
            return nn.functional.batch_norm(x, self.mean, self.variance, scale, None).flatten(1)

    with pytest.raises(UnknownOperation, match="batch norm"):
        count(capture(Gated(), (2, 3, 3)))


def test_a_weight_that_is_taken_apart_is_stored_where_that_is_done() -> None:
    """What gives several results has no one shape; that was a KeyError."""
    parts = node("parts", aten.split.Tensor, Ref("w"), 2), node("part", operator.getitem, Ref("parts"), 0)
    weights, formats = {"w": torch.ones(4, 48)}, {"w": fixed_point(4, (1,))}
    layer = node("flat", aten.flatten.using_ints, X, 1), node("y", aten.linear.default, Ref("flat"), Ref("part"))
    whole, product = count(graph(*parts, *layer, weights=weights, formats=formats, shape=(3, 4, 4))).layers
    assert (whole.op, whole.shape, whole.parameters) == ("split", (), (Parameter("w", 4 * 48, 4 * 48, 4, 1),))
    assert (product.operations.multiplications, product.weight_bits) == (2 * 48, 4)
