"""Products with constant matrices, however they are written: sparse weights count exactly, filter by filter."""

import pytest
import torch
from torch import Tensor, nn

from micronet.analysis.counts import count
from micronet.graph.grid import fixed_point
from micronet.graph.ir import Graph, Node, Ref
from tests.micronet.analysis.graphs import X, aten, captured, graph, node, quantizer, totals, weigh

# 5 filters of 6 weights: 6, 0, 1, 2 and 3 of them non-zero
MATRIX = torch.tensor(
    [[1.0, 2, 3, -1, 2, 1], [0, 0, 0, 0, 0, 0], [0, 0, 3, 0, 0, 0], [1, 0, 0, 0, 0, 2], [0, 1, 0, 1, 0, 1]]
)
ROWS = 4 * 6  # vectors of 6 in an image of 4x6x6
PRODUCTS = 12 * ROWS
SUMS = (5 + 0 + 0 + 1 + 2) * ROWS
SUMS_WITH_BIAS = 12 * ROWS  # as many additions as non-zero weights: the bias is the last term, alone it needs none
BIAS = torch.arange(1.0, 6)


def product(target: object, *args: object, **weights: Tensor) -> Graph:
    return graph(Node("y", target, args), weights=weights)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "additions"),
    [
        (product(aten.linear.default, X, Ref("w"), w=MATRIX), SUMS),
        (product(aten.linear.default, X, Ref("w"), Ref("b"), w=MATRIX, b=BIAS), SUMS_WITH_BIAS),
        (product(aten.matmul.default, X, Ref("w"), w=MATRIX.t()), SUMS),
        (product(aten.matmul.default, Ref("w"), X, w=MATRIX), SUMS),
        (product(aten.matmul.default, X, Ref("w"), w=MATRIX.t()[None, None]), SUMS),
        (product(aten.conv2d.default, X, Ref("w"), w=MATRIX.view(5, 6, 1, 1)), SUMS),
    ],
    ids=["linear", "linear with bias", "matmul", "matmul from the left", "matmul of a batch", "convolution"],
)
def test_the_same_product_costs_the_same(written: Graph, additions: int) -> None:
    if written.nodes[0].target is aten.conv2d.default:
        written = Graph("x", (6, 4, 6), written.nodes, written.weights, "y")
    assert totals(written) == (PRODUCTS, additions)


def test_matrices_of_a_batch_count_each() -> None:
    """4 matrices of 6x5, the last three all zero: only the first one's 12 weights work, on the 6 rows of its plane."""
    weights = torch.zeros(4, 6, 5)
    weights[0] = MATRIX.t()
    assert totals(product(aten.matmul.default, X, Ref("w"), w=weights)) == (12 * 6, 8 * 6)


def test_addmm_counts_as_a_linear_layer() -> None:
    def on_vectors(*args: object, **kwargs: object) -> Graph:
        step = Node("y", aten.addmm.default, (Ref("b"), X, Ref("w")), kwargs)  # type: ignore[arg-type]
        return graph(step, weights={"w": MATRIX.t().contiguous(), "b": BIAS}, shape=(6,))

    assert totals(on_vectors()) == (12, 12)
    # with a factor every term counts: 5*6 products, one more per output; 6 additions each
    assert totals(on_vectors(alpha=2)) == (30 + 5, 30)


def test_a_bias_that_is_computed_is_a_term_too() -> None:
    steps = [
        node("b2", aten.mul.Tensor, Ref("b"), 2.0),
        node("y", aten.linear.default, X, Ref("w"), Ref("b2")),
    ]
    assert totals(graph(*steps, weights={"w": MATRIX, "b": BIAS})) == (PRODUCTS, SUMS_WITH_BIAS)


def test_a_product_of_two_values_counts_every_term() -> None:
    class Squared(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.bmm(x, x)

    assert totals(captured(Squared(), (6, 6))) == (6 * 6 * 6, 6 * 6 * 5)


def test_weights_computed_on_the_way_count_every_term_at_their_width() -> None:
    """Nobody vouches for zeros or a grid of what is computed: 32 bits, though the values it meets have 4."""
    steps = [
        quantizer("q", "x", 4),
        node("double", aten.mul.Tensor, Ref("w"), 2.0),
        node("y", aten.linear.default, Ref("q"), Ref("double")),
    ]
    counts = count(graph(*steps, weights={"w": MATRIX}))
    assert totals(counts) == (30 * ROWS, 25 * ROWS)
    assert counts.layers[-1].weight_bits == 32
    assert weigh(counts, "challenge")[0] == 30 * ROWS * 32 + 25 * ROWS * 32


def test_weights_only_moved_keep_their_width() -> None:
    steps = [
        quantizer("q", "x", 4),
        node("moved", aten.t.default, Ref("w")),
        node("y", aten.matmul.default, Ref("q"), Ref("moved")),
    ]
    counts = count(graph(*steps, weights={"w": MATRIX}, formats={"w": fixed_point(7, (0,))}))
    assert counts.layers[-1].weight_bits == 7


def test_one_exponent_for_each_layer_with_weights() -> None:
    step = node("y", aten.linear.default, X, Ref("w"))
    assert count(graph(step, weights={"w": MATRIX})).layers[0].exponents == 1
    per_filter = {"w": fixed_point(4, (0, 1, 0, 1, 0), axis=0)}
    assert count(graph(step, weights={"w": MATRIX}, formats=per_filter)).layers[0].exponents == 5
    of_values = count(graph(node("y", aten.matmul.default, X, X)))
    assert of_values.layers[0].exponents == 0
    addmm = graph(
        node("y", aten.addmm.default, Ref("b"), X, Ref("w")), weights={"w": torch.ones(6, 5), "b": BIAS}, shape=(6,)
    )
    assert count(addmm).layers[0].exponents == 1
