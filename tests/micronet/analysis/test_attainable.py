"""What a quantizer can give at all, against every value of the grid it depends on and against random images."""

import pytest
import torch

from micronet.analysis.accumulators import accumulator_bits
from micronet.analysis.attainable import attainable
from micronet.analysis.shapes import shapes
from micronet.analysis.widths import activation_grid
from micronet.graph.grid import fixed_point
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Node, Ref
from tests.micronet.analysis.graphs import X, aten, graph, node

PUT = aten.fake_quantize_per_tensor_affine.default
Q = Ref("q")
UNIT = fixed_point(8, (0,))


def of(*steps: Node, low: int = -128, high: int = 127, step: float = 1 / 8) -> Graph:
    """x on a grid of steps of 1/8, `steps` from there, and their last value on another grid."""
    first = node("q", PUT, X, 1 / 8, 0, -64, 63)
    return graph(first, *steps, node("r", PUT, Ref(steps[-1].name), step, 0, low, high))


def ends(of_graph: Graph) -> tuple[int, int]:
    makers = of_graph.by_name()
    last = makers["r"]
    grid = activation_grid(last)
    assert grid is not None
    return attainable(makers, last, grid)


HARD_SWISH = (
    node("s", aten.add.Tensor, Q, 3.0),
    node("c", aten.hardtanh.default, Ref("s"), 0.0, 6.0),
    node("v", aten.mul.Tensor, Q, Ref("c")),
)


def test_a_hard_swish_hardly_falls_below_zero() -> None:
    """x (x + 3) is -2.25 at least, at -1.5: 18 steps of 1/8, of the 128 that the grid has below zero."""
    assert ends(of(*HARD_SWISH)) == (-18, 127)
    assert ends(of(*HARD_SWISH, step=1.0)) == (-2, 47)  # 7.875 * 6 = 47.25


def test_quantizers_on_the_way_are_gone_through() -> None:
    """As optimize writes a hard swish: x + 3 and its clip on grids of their own."""
    steps = (
        node("s", aten.add.Tensor, Q, 3.0),
        node("sq", PUT, Ref("s"), 1 / 8, 0, -64, 63),
        node("c", aten.hardtanh.default, Ref("sq"), 0.0, 6.0),
        node("cq", PUT, Ref("c"), 1 / 8, 0, 0, 63),
        node("v", aten.mul.Tensor, Q, Ref("cq")),
    )
    assert ends(of(*steps)) == (-18, 127)
    assert ends(of(*steps, step=1.0)) == (-2, 47)


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ((node("v", aten.relu.default, Q),), (0, 63)),
        ((node("v", aten.clamp.default, Q, -1.0, None),), (-8, 63)),
        ((node("v", aten.neg.default, Q),), (-63, 64)),
        ((node("v", aten.sub.Tensor, 1.0, Q),), (-55, 72)),
        ((node("v", aten.mul.Tensor, Q, Q),), (0, 127)),
        ((node("v", aten.sigmoid.default, Q),), (-128, 127)),  # float32's sigmoid is not the same everywhere
        ((node("v", aten.add.Tensor, Q, X),), (-128, 127)),  # the image may be anything
        ((node("v", aten.mul.Tensor, Q, Ref("w")),), (-128, 127)),  # one number per channel
        ((node("p", PUT, X, 1 / 8, 0, 0, 7), node("v", aten.add.Tensor, Q, Ref("p"))), (-128, 127)),  # two values
    ],
)
def test_a_function_of_one_value_is_gone_through_and_nothing_else_is_believed(
    steps: tuple[Node, ...], found: tuple[int, int]
) -> None:
    first = node("q", PUT, X, 1 / 8, 0, -64, 63)
    last = node("r", PUT, Ref("v"), 1 / 8, 0, -128, 127)
    assert ends(graph(first, *steps, last, weights={"w": torch.ones(1, 4, 1, 1)})) == found


def test_images_of_any_size_stay_within() -> None:
    graph_of = of(*HARD_SWISH, step=1 / 4)
    low, high = ends(graph_of)
    images = torch.randn(64, *graph_of.input_shape, generator=torch.Generator().manual_seed(0)) * 10
    found = interpret(graph_of, images) * 4
    assert low <= found.min()
    assert found.max() <= high
    assert found.min() == low  # -1.5 is on the grid, and among so many values


def test_sums_behind_it_are_proven_narrower() -> None:
    """Filters of both signs: 100 inputs from -18 to 127 end between -7250 and 7250, or, from -128, at 12750."""
    weight = torch.tensor([1.0, -1.0]).repeat(50).view(1, 100)
    first, last = node("q", PUT, X, 1 / 8, 0, -64, 63), node("r", PUT, Ref("v"), 1 / 8, 0, -128, 127)
    sums = node("y", aten.linear.default, Ref("r"), Ref("w"))

    def bits(*steps: Node) -> list[int]:
        made = graph(first, *steps, last, sums, weights={"w": weight}, formats={"w": UNIT}, shape=(100,))
        return accumulator_bits(made, shapes(made))["y"]

    assert bits(*HARD_SWISH) == [14]
    assert bits(node("v", aten.sigmoid.default, Q)) == [15]


def test_what_depends_on_the_precision_is_not_believed() -> None:
    """16385^2 needs 29 bits: float32 rounds it to what gives 4096 on the next grid, float64 to 4097."""
    first = node("q", PUT, X, 1.0, 0, 0, 16385)
    square, last = node("v", aten.mul.Tensor, Q, Q), node("r", PUT, Ref("v"), 2.0**16, 0, 0, 8191)
    assert ends(graph(first, square, last)) == (0, 8191)
    assert ends(graph(node("q", PUT, X, 1.0, 0, 0, 4000), square, last)) == (0, 244)


def test_a_quantizer_of_a_quantizer_and_a_function_that_is_too_long() -> None:
    assert ends(graph(node("q", PUT, X, 1 / 8, 0, 0, 15), node("r", PUT, Q, 1 / 8, 0, -128, 127))) == (0, 15)
    steps = [node(f"v{i + 1}", aten.neg.default, Ref(f"v{i}") if i else Q) for i in range(40)]
    assert ends(of(*steps)) == (-128, 127)
