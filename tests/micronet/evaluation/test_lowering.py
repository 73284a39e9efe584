"""A lowered program gives what the graph means; on a grid, bit for bit."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from micronet.evaluation.kernels import clip_ends, round_to_grid_, rounding_constant
from micronet.evaluation.lowering import lower
from micronet.graph.capture import capture
from micronet.graph.grid import Grid, fixed_point
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Node, Ref
from micronet.transformation.fold_constants import fold_constants
from micronet.transformation.fuse_batchnorm import fuse_batchnorm
from micronet.transformation.recognize import recognize
from tests.micronet.networks import CHANNELS, IMAGE, images, network, networks, quantized

EXACT = ["convolution", "depthwise", "grouped", "max pool", "norm", "pointwise", "relu", "residual", "twice"]
"""Parts whose sums of few-bit products are exact in float32, in whatever order."""


def _close(program: Tensor, meaning: Tensor) -> None:
    torch.testing.assert_close(program, meaning, rtol=1e-4, atol=1e-5 * float(meaning.abs().max() + 1))


@settings(max_examples=60)
@given(networks(8), st.sampled_from([1, 3]), st.booleans())
def test_a_program_gives_what_the_graph_means_for_any_batch(module: nn.Module, batch: int, merge: bool) -> None:
    graph = fold_constants(capture(module, IMAGE))
    program = lower(graph, batch, merge)
    for count in (1, 2, 3, 5):  # a smaller last batch, and a larger one
        _close(program.run(images(count)), interpret(graph, images(count)))


@settings(max_examples=40)
@given(networks(8))
def test_after_all_passes_too(module: nn.Module) -> None:
    graph = fuse_batchnorm(recognize(fold_constants(capture(module, IMAGE))))
    _close(lower(graph, 3).run(images(3)), interpret(graph, images(3)))


@settings(max_examples=40)
@given(st.lists(st.sampled_from(EXACT), max_size=6), st.integers(0, 999), st.integers(3, 6), st.booleans())
def test_where_sums_are_exact_every_bit_is_the_same(parts: list[str], seed: int, bits: int, merge: bool) -> None:
    graph = quantized(network(parts, seed), bits, bits)
    program = lower(graph, 3, merge)
    for count in (1, 3):
        assert torch.equal(program.run(images(count)), interpret(graph, images(count)))


@settings(max_examples=200)
@given(
    st.integers(2, 22),
    st.integers(-20, 30),
    st.lists(st.floats(-3, 3, width=32) | st.sampled_from([-1.0, -0.5, 0.0, 0.5, 1.0]), min_size=1, max_size=50),
    st.integers(0, 2**16),
)
def test_the_quick_rounding_is_fake_quantization_bit_for_bit(
    bits: int, point: int, fractions: list[float], seed: int
) -> None:
    grid = fixed_point(bits, (point,))
    (step,) = grid.steps
    whole = torch.randint(grid.low - 2, grid.high + 3, (64,), generator=torch.Generator().manual_seed(seed))
    ties = (whole.double() + 0.5) * step
    near = torch.nextafter(ties.float(), torch.tensor(0.0))
    ends = torch.tensor([grid.low, grid.high]).double() * step
    values = torch.cat([torch.tensor(fractions).double() * grid.high * step, ties, near.double(), ends]).float()
    constant = rounding_constant(grid)
    assert constant is not None
    rounded = round_to_grid_(values.clamp(*clip_ends(grid)), constant)
    assert torch.equal(rounded, torch.fake_quantize_per_tensor_affine(values, step, 0, grid.low, grid.high))


@pytest.mark.parametrize(
    "grid",
    [
        fixed_point(23, (4,)),
        fixed_point(8, (4, 5), axis=0),
        fixed_point(8, (51,)),
        fixed_point(8, (-51,)),
        Grid(8, -128, 127, (0.1,), (0,)),
        Grid(8, 0, 255, (0.5,), (128,)),
    ],
)
def test_grids_that_the_quick_rounding_would_not_hit_exactly_are_left_alone(grid: Grid) -> None:
    assert rounding_constant(grid) is None


class Trap(nn.Module):
    """`function` of a convolution's result, which is memory that may be overwritten."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.conv(x)).flatten(1)


def _with_view(x: Tensor) -> Tensor:
    rows = x.view(x.shape[0], CHANNELS, -1)
    return torch.relu(rows) + rows


TRAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "read after a ReLU": lambda x: torch.relu(x) + x,
    "read before a ReLU": lambda x: x + torch.relu(x),
    "added to itself": lambda x: torch.relu((x * 2) + (x * 2)),
    "the same operand twice": lambda x: (y := torch.relu(x * 3)) + y,
    "multiplied with itself": lambda x: (y := x * 3) * y,
    "joined with itself": lambda x: torch.cat([x, x, torch.relu(x)], 1),
    "through a view": _with_view,
    "through a view that alone reads it": lambda x: (y := (x * 2).flatten(1)).relu() + y,
    "through a slice": lambda x: torch.relu(x[:, :2]) + x[:, 2:],
    "gate of one value per channel": lambda x: torch.sigmoid(x.mean((2, 3), keepdim=True)) * x,
    "gate of one value per image": lambda x: x.mean((1, 2, 3), keepdim=True).sigmoid() * (x * 2),
    "one pixel": lambda x: (y := x.mean((2, 3), keepdim=True)).relu() * (y * 2),
    "broadcast sum": lambda x: x.mean((2, 3), keepdim=True) * 2 + x.mean(1, keepdim=True) * 3,
    "dropout that does nothing": lambda x: torch.relu(nn.functional.dropout(x * 2, training=False)) + 1,
    "clip of a sum read twice": lambda x: (y := x + 1).clamp(-1, 1) * y,
    "split and added": lambda x: (parts := x.chunk(2, 1))[0].relu() + parts[0] + parts[1],
    "two quantizers": lambda x: (
        torch.fake_quantize_per_tensor_affine(x, 0.5, 0, -4, 3)
        + torch.fake_quantize_per_tensor_affine(x, 0.25, 0, -4, 3)
    ),
    "quantizer whose value is read twice": lambda x: (
        (y := torch.fake_quantize_per_tensor_affine(x * 2, 0.5, 0, -4, 3)).relu() + y
    ),
    "quantizer without a power of two": lambda x: torch.fake_quantize_per_tensor_affine(x, 0.3, 0, -4, 3).relu(),
    "quantizer with a zero point": lambda x: torch.fake_quantize_per_tensor_affine(x, 0.5, 2, 0, 7).relu(),
    "subtracted": lambda x: torch.relu(x * 2) - (x * 3),
    "scaled sum": lambda x: torch.add(x * 2, x * 3, alpha=2),
}


@pytest.mark.parametrize("function", TRAPS.values(), ids=TRAPS)
def test_a_value_that_others_read_is_never_overwritten(function: Callable[[Tensor], Tensor]) -> None:
    torch.manual_seed(0)
    graph = fold_constants(capture(Trap(function).requires_grad_(False), IMAGE))
    for merge in (True, False):
        program = lower(graph, 3, merge)
        for count in (1, 3, 2):
            batch = images(count)
            _close(program.run(batch), interpret(graph, batch))
            assert torch.equal(batch, images(count))


@pytest.mark.parametrize("ends", [(1, 7), (-8, -1), (-8, 7), (0, 7)])
@pytest.mark.parametrize("after", ["image", "convolution"])
def test_a_relu_merged_with_a_quantizer_keeps_the_ends_of_its_range(ends: tuple[int, int], after: str) -> None:
    """Also where the range lies on one side of zero: torch's own quantizer does not know these, and a graph may."""
    aten = torch.ops.aten
    nodes = [
        Node("q", aten.fake_quantize_per_tensor_affine.default, (Ref("x"), 0.25, 0, *ends)),
        Node("r", aten.relu.default, (Ref("q"),)),
    ]
    weights = {}
    if after == "convolution":
        weights["w"] = nn.functional.pad(torch.eye(CHANNELS).view(CHANNELS, CHANNELS, 1, 1), (1, 1, 1, 1))
        nodes = [Node("x2", aten.conv2d.default, (Ref("x"), Ref("w"))), nodes[0].renamed({"x": "x2"}), nodes[1]]
    graph = Graph("x", IMAGE, tuple(nodes), weights, "r")
    source = nn.functional.conv2d(images(3), weights["w"]) if weights else images(3)
    expected = (source / 0.25).round().clamp(*ends).mul(0.25).relu()
    assert torch.equal(lower(graph, 3).run(images(3)), expected)


def test_the_output_is_not_overwritten_by_its_other_readers() -> None:
    module = network(["pointwise"])
    graph = capture(module, IMAGE)
    relu = capture(nn.Sequential(*module, nn.ReLU()).eval(), IMAGE).nodes[-1]
    both = Graph(graph.input, graph.input_shape, (*graph.nodes, relu), graph.weights, graph.output)
    _close(lower(both, 2).run(images(2)), interpret(graph, images(2)))


def test_the_images_and_weights_are_not_overwritten() -> None:
    graph = capture(nn.Sequential(nn.ReLU(), *network(["relu", "hard swish", "residual"])).eval(), IMAGE)
    batch = images(3).contiguous(memory_format=torch.channels_last)
    weights = {name: weight.clone() for name, weight in graph.weights.items()}
    program = lower(graph, 3)
    first = program.run(batch)
    assert torch.equal(batch, images(3))
    assert all(torch.equal(graph.weights[name], weight) for name, weight in weights.items())
    assert torch.equal(program.run(batch), first)


def test_an_observer_sees_every_value_as_it_was() -> None:
    graph = capture(network(["convolution", "norm", "relu", "residual", "hard swish"]), IMAGE)
    meant: dict[str, Tensor] = {}
    interpret(graph, images(2), lambda node, value: meant.update({node.name: value}))
    seen: dict[str, Tensor] = {}
    lower(graph, 2, merge=False).run(images(2), lambda name, value: seen.update({name: value.clone()}))
    assert seen.keys() == {graph.input, *meant}
    for name, value in meant.items():
        _close(seen[name], value)


def test_threads_side_by_side_get_what_each_gets_alone() -> None:
    program = lower(capture(network(["convolution", "residual", "excite", "twice", "hard swish"]), IMAGE), 4)
    batches = [images(4, seed) for seed in range(32)]
    alone = [program.run(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(program.run, batches))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_a_float64_value_is_rounded_as_fake_quantization_does() -> None:
    """Its last bit lies elsewhere: the constant that rounds a float32 number leaves it as it is."""

    class Wide(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            mean = x.mean((2, 3), dtype=torch.float64)
            return torch.fake_quantize_per_tensor_affine(mean, 0.25, 0, -8, 7)

    graph = capture(Wide(), IMAGE)
    assert torch.equal(lower(graph, 5).run(images(5)), interpret(graph, images(5)))


@pytest.mark.parametrize("between", [nn.Identity, nn.ReLU, lambda: nn.MaxPool2d(2), lambda: nn.AvgPool2d(2)])
@pytest.mark.parametrize(("zero_point", "ends"), [(-128, (-128, 127)), (100, (0, 255)), (0, (-128, 127))])
def test_a_grid_that_is_not_about_zero_bounds_what_comes_after_it(
    between: Callable[[], nn.Module], zero_point: int, ends: tuple[int, int]
) -> None:
    """The quantizer behind may only leave its clipping out where nothing lies outside."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.between = between()

        def forward(self, x: Tensor) -> Tensor:
            x = self.between(torch.fake_quantize_per_tensor_affine(x, 0.1, zero_point, *ends))
            return torch.fake_quantize_per_tensor_affine(x, 0.125, 0, -128, 127).flatten(1)

    graph = fold_constants(capture(Twice(), IMAGE))
    shown = images(5) * 20
    assert torch.equal(lower(graph, 5).run(shown), interpret(graph, shown))
