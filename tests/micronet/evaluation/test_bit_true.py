"""Exact evaluation is faster in float32 where that is the same, and the same to the bit wherever it is used."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from micronet.errors import SettingsError
from micronet.evaluation.bit_true import check_exact, exactly, in_float64, onto_grid, widen
from micronet.evaluation.lowering import lower
from micronet.evaluation.single_precision import single_precision
from micronet.graph.capture import capture
from micronet.graph.grid import fixed_point
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Node, Ref
from micronet.transformation.prepare import prepare
from micronet.transformation.quantization import Quantization
from micronet.transformation.quantize import quantize_weights
from tests.micronet.networks import IMAGE, ByChannel, images, networks, quantized

aten = torch.ops.aten


def same(graph: Graph, shown: Tensor) -> bool:
    """Whether the mixed program gives what all of it in float64 does."""
    answers = lower(exactly(graph), len(shown)).run(shown)
    wide = shown.to(torch.float64, memory_format=torch.channels_last)
    return torch.equal(answers.double(), interpret(widen(graph), wide))


@settings(max_examples=60)
@given(networks(8), st.integers(2, 16), st.integers(2, 16))
def test_any_network_on_any_grids_gives_the_bits_of_float64(module: nn.Module, weights: int, values: int) -> None:
    assert same(quantized(module, weights, values), images(5))


def classifier(terms: int, weight_bits: int, input_bits: int) -> Graph:
    """One sum of `terms` products, all as far from zero as their grids go, and a quantizer of what is read."""
    weights, values = fixed_point(weight_bits, (weight_bits - 1,)), fixed_point(input_bits, (0,))
    rows = torch.full((2, terms), weights.low * weights.steps[0])
    rows[1] = weights.high * weights.steps[0]
    nodes = (
        Node("x", aten.fake_quantize_per_tensor_affine.default, (Ref("image"), 1.0, 0, values.low, values.high)),
        Node("flat", aten.flatten.using_ints, (Ref("x"), 1)),
        Node("out", aten.linear.default, (Ref("flat"), Ref("rows"))),
    )
    return Graph("image", (terms, 1, 1), nodes, {"rows": rows}, "out", {"rows": weights})


@pytest.mark.parametrize(("terms", "narrow"), [(127, True), (129, False)])
def test_sums_up_to_24_bits_are_exact_in_float32_and_no_wider_ones(terms: int, narrow: bool) -> None:
    """Each product is up to 2^16: 128 of them fill 24 bits with a sign."""
    graph = classifier(terms, 9, 9)
    ends = torch.stack([torch.full((terms, 1, 1), end) for end in (-256.0, 255.0)])
    assert ("out" in single_precision(graph)) is narrow
    assert lower(exactly(graph), 2).run(ends).dtype == (torch.float32 if narrow else torch.float64)
    assert same(graph, ends)


def test_the_sum_that_24_bits_do_not_hold_does_come_out_wrong_in_float32() -> None:
    graph = classifier(1025, 9, 9)
    odd = torch.full((1, 1025, 1, 1), -255.0)
    odd[0, 0] = 1.0
    assert same(graph, odd)
    plain = lower(graph, 1).run(odd)
    assert not torch.equal(plain.double(), interpret(widen(graph), odd.double()))


def after(*nodes: Node, bits: int = 8, point: int = 0) -> frozenset[str]:
    """Values that are the same in float32, of `nodes` that read x, on a grid of steps of 2^-point."""
    grid = fixed_point(bits, (point,))
    place = (grid.steps[0], 0, grid.low, grid.high)
    first = Node("x", aten.fake_quantize_per_tensor_affine.default, (Ref("image"), *place))
    return single_precision(Graph("image", (3, 4, 4), (first, *nodes), {}, nodes[-1].name)) - {"image", "x"}


def test_arithmetic_is_the_same_as_long_as_its_results_need_no_more_than_24_bits() -> None:
    square = Node("square", aten.mul.Tensor, (Ref("x"), Ref("x")))
    cube = Node("cube", aten.mul.Tensor, (Ref("square"), Ref("x")))
    fourth = Node("fourth", aten.mul.Tensor, (Ref("square"), Ref("square")))
    assert after(square, cube, fourth) == {"square", "cube"}
    fine = Node("fine", aten.add.Tensor, (Ref("x"), 2.0**-16))
    finer = Node("finer", aten.add.Tensor, (Ref("x"), 2.0**-18))
    assert after(fine, finer) == {"fine"}
    assert after(Node("third", aten.mul.Tensor, (Ref("x"), 1 / 3))) == frozenset()
    assert after(Node("twice", aten.add.Tensor, (Ref("x"), Ref("x")), {"alpha": 1 / 3})) == frozenset()


def test_grids_at_the_ends_of_float32s_exponents_are_not_the_same() -> None:
    """There products may be too small to be held in full, or too large to be held at all."""
    moved = Node("moved", aten.relu.default, (Ref("x"),))
    assert after(moved, point=50) == after(moved, point=-50) == {"moved"}
    assert after(moved, point=51) == after(moved, point=-51) == frozenset()
    squares = [Node("x2", aten.mul.Tensor, (Ref("x"), Ref("x"))), Node("x4", aten.mul.Tensor, (Ref("x2"), Ref("x2")))]
    assert after(*squares, bits=2, point=-28) == {"x2", "x4"}
    assert after(*squares, bits=2, point=-29) == {"x2"}
    assert after(*squares, bits=2, point=30) == {"x2", "x4"}
    assert after(*squares, bits=2, point=31) == {"x2"}
    graph = classifier(3, 9, 9)
    far = fixed_point(9, (51,))
    rows = {"rows": graph.weights["rows"] * 2.0**-43}
    far_graph = Graph(graph.input, graph.input_shape, graph.nodes, rows, graph.output, {"rows": far})
    assert "out" in single_precision(graph)
    assert "out" not in single_precision(far_graph)


def test_pixels_are_the_nearest_in_either_precision_where_images_grow_by_a_power_of_two() -> None:
    def grown(size: int) -> frozenset[str]:
        return after(Node("grown", aten.upsample_nearest2d.default, (Ref("x"), (size, size))))

    assert grown(4) == grown(8) == grown(16) == {"grown"}
    assert grown(6) == grown(12) == frozenset()
    spread = Node("spread", aten.upsample_nearest2d.default, (Ref("one"), (7, 7)))
    assert after(Node("one", aten.adaptive_avg_pool2d.default, (Ref("x"), (1, 1))), spread) == {"one", "spread"}


def test_clips_and_paddings_to_numbers_that_float32_lacks_are_not_the_same() -> None:
    clip = Node("clip", aten.hardtanh.default, (Ref("x"), 0.0, 6.0))
    assert after(clip) == {"clip"}
    assert after(Node("clip", aten.hardtanh.default, (Ref("x"), 0.0, 0.1))) == frozenset()
    assert after(Node("pad", aten.constant_pad_nd.default, (Ref("x"), (1, 1), 0.1))) == frozenset()
    assert after(Node("pad", aten.constant_pad_nd.default, (Ref("x"), (1, 1), 0.5))) == {"pad"}
    assert after(Node("clip", aten.hardtanh.default, (Ref("x"),))) == frozenset()  # to what is not written there
    assert after(Node("clip", aten.clamp.default, (Ref("x"),), {"min": 0.1})) == frozenset()
    # what is padded with halves has steps of a half: squares of it have steps of a quarter
    pad = Node("pad", aten.constant_pad_nd.default, (Ref("x"), (1, 1), 0.5))
    square = Node("square", aten.mul.Tensor, (Ref("pad"), Ref("pad")))
    assert after(pad, square, bits=12) == {"pad", "square"}
    assert after(pad, square, bits=13) == {"pad"}


def test_averages_are_the_same_where_their_division_is_a_shift() -> None:
    assert after(Node("mean", aten.mean.dim, (Ref("x"), (2, 3)))) == {"mean"}
    assert after(Node("mean", aten.mean.dim, (Ref("x"), (1, 2, 3)))) == frozenset()
    assert after(Node("mean", aten.adaptive_avg_pool2d.default, (Ref("x"), (2, 2)))) == {"mean"}
    assert after(Node("mean", aten.adaptive_avg_pool2d.default, (Ref("x"), (3, 3)))) == frozenset()
    assert after(Node("mean", aten.avg_pool2d.default, (Ref("x"), (2, 2)))) == {"mean"}
    assert after(Node("mean", aten.avg_pool2d.default, (Ref("x"), (3, 3), (1, 1)))) == frozenset()
    assert after(Node("mean", aten.avg_pool2d.default, (Ref("x"), (2, 2), (2, 2), (1, 1)))) == frozenset()
    assert after(Node("mean", aten.avg_pool2d.default, (Ref("x"), (2, 2), (2, 2), (0, 0), False, True))) == {"mean"}
    assert after(Node("mean", aten.avg_pool2d.default, (Ref("x"), (2, 2), (2, 2), 0, False, True, 3))) == frozenset()
    assert after(Node("mean", aten.mean.dim, (Ref("x"), (2, 3))), bits=20) == {"mean"}
    assert after(Node("mean", aten.mean.dim, (Ref("x"), (2, 3))), bits=22) == frozenset()
    assert after(Node("mean", aten.mean.dim, (Ref("x"), (2, 3)), {"dtype": torch.float64})) == frozenset()
    assert after(Node("mean", aten.mean.dim, (Ref("x"), (-4, 2)))) == frozenset()  # over images, however many


@settings(max_examples=100)
@given(st.lists(st.floats(-1e4, 1e4, width=64), min_size=1), st.integers(2, 24), st.integers(-4, 20))
def test_a_float64_value_goes_onto_a_grid_as_fake_quantize_says(numbers: list[float], bits: int, point: int) -> None:
    grid, values = fixed_point(bits, (point,)), torch.tensor(numbers, dtype=torch.float64)
    step = grid.steps[0]
    expected = torch.fake_quantize_per_tensor_affine(values, step, 0, grid.low, grid.high)
    found = onto_grid(values, step, grid.low, grid.high)
    assert found.dtype == torch.float32
    assert torch.equal(found.double(), expected)
    assert not bool((found.signbit() & (found == 0)).any())


def test_only_float32_tensors_are_widened() -> None:
    index, single = torch.arange(3), torch.ones(3)
    widened = in_float64((single, index, 7))
    assert isinstance(widened, tuple)
    assert widened[0].dtype == torch.float64
    assert widened[1:] == (index, 7)


def test_sums_that_cannot_be_exact_are_refused() -> None:
    check_exact(classifier(129, 9, 9))
    with pytest.raises(SettingsError, match=r"may need 5[4-9] bits, float64 is exact to 53"):
        check_exact(classifier(129, 24, 24))


FAULTS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], str]] = {
    "values": (lambda x, q: x, "images .* put on a grid"),
    "a sum": (lambda x, q: torch.cat([q, q + 0.3], 1), "what add computes"),
    "a border": (lambda x, q: F.pad(q, (1, 1), value=0.3), r"what pad pads with 0\.3, which is no multiple of 0\.25"),
    "constants": (
        lambda x, q: torch.cat([q, torch.full((1, 1, 6, 6), 0.3).expand(q.shape[0], -1, -1, -1)], 1),
        "cat joins",
    ),
    "a coarse grid": (lambda x, q: torch.fake_quantize_per_tensor_affine(x, 0.3, 0, -8, 7), "no fixed point"),
}


class Faulty(nn.Module):
    """A classifier of whatever is made of images and of what a grid makes of them."""

    def __init__(self, made: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.made, self.classes = made, nn.LazyLinear(10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.classes(self.made(x, torch.fake_quantize_per_tensor_affine(x, 0.25, 0, -8, 7)).flatten(1))


@pytest.mark.parametrize("fault", FAULTS)
def test_what_keeps_sums_from_being_exact_is_named(fault: str) -> None:
    made, words = FAULTS[fault]
    module = Faulty(made)
    module(images(1))
    graph = quantize_weights(prepare(capture(module, IMAGE), fuse=True), Quantization(6, 32, "max"))
    with pytest.raises(SettingsError, match=rf"classes multiplies .*{words}.* Quantize weights and activations"):
        check_exact(graph)
    plain = replace(graph, formats={})
    with pytest.raises(SettingsError, match="bit_true: classes multiplies weights that are on no fixed-point grid"):
        check_exact(plain)


class Fire(nn.Module):
    """Two layers that read one value, joined in front of another, and a border that is not zero."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(4, 3, 1), nn.Conv2d(4, 3, 3, padding=1)
        self.joined, self.classes = nn.Conv2d(6, 4, 3), nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([F.relu(self.one(x)), self.other(x)], 1)
        return self.classes(self.joined(F.pad(y, (1, 1, 1, 1), value=0.5)).mean((2, 3)))


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_joined_and_padded_values_are_summed_exactly(bits: int) -> None:
    graph = quantized(Fire().eval(), bits, bits)
    check_exact(graph)
    assert same(graph, 3 * images(5))


def test_values_on_a_grid_for_each_channel_are_read_in_float64() -> None:
    """Torch takes the steps of such grids in float32 alone, whatever the values are in."""
    assert same(quantized(ByChannel(), 6, 8), images(5))
