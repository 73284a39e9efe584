"""Linear layers in a row: one where it is cheaper, by hand; and where it is not, or would be wrong, all of them."""

import pytest
import torch
from torch import Tensor, nn

from micronet.analysis.totals import network_totals
from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.transformation.merge_linear import MergedLayer, merge_linear_layers

SIZE = 7


def captured(*layers: nn.Module, channels: int = 3) -> Graph:
    with torch.no_grad():
        return capture(nn.Sequential(*layers, nn.Flatten()).eval().requires_grad_(False), (channels, SIZE, SIZE))


def check(graph: Graph, merged: Graph) -> None:
    images = torch.randn(2, *graph.input_shape)
    torch.testing.assert_close(interpret(merged, images), interpret(graph, images), rtol=1e-4, atol=1e-5)


def test_two_pointwise_convolutions_by_hand() -> None:
    """3 -> 8 -> 4 on 49 pixels: 8 (3 + 4) weights and 12 biases become 4 * 3 weights and 4 biases."""
    graph = captured(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1))
    merged, told = merge_linear_layers(graph)
    assert told == (MergedLayer("0", "1"),)
    before, after = network_totals(graph), network_totals(merged)
    assert (before.parameters, after.parameters) == (56 + 12, 12 + 4)
    assert (before.multiplications, after.multiplications) == (49 * 56, 49 * 12)
    assert (before.additions, after.additions) == (49 * 56, 49 * 12)
    check(graph, merged)


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 3)],
        [nn.Conv2d(3, 8, 1, bias=False), nn.Conv2d(8, 2, 3, padding=1)],
        [nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 3, stride=2, dilation=2)],
        [nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 2, 1)],
        [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 2, 1, stride=2)],
        [nn.Conv2d(3, 8, (1, 3), padding=(0, 1)), nn.Conv2d(8, 8, 1, bias=False), nn.Conv2d(8, 2, 1)],
        [nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(50, 30), nn.Linear(30, 4, bias=False)],
    ],
)
def test_rows_that_become_one(layers: list[nn.Module]) -> None:
    graph = captured(*layers)
    merged, told = merge_linear_layers(graph)
    assert told
    assert len(merged.nodes) == len(graph.nodes) - len(told)
    check(graph, merged)
    assert merge_linear_layers(merged) == (merged, ())


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 3, padding=1)],  # the border would be the first one's bias
        [nn.Conv2d(3, 8, 1, stride=2), nn.Conv2d(8, 2, 3)],  # a kernel with holes
        [nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 3)],  # a kernel of five
        [nn.Conv2d(3, 6, 1, groups=3), nn.Conv2d(6, 2, 1)],
        [nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1, groups=2)],
        [nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 2, 1)],
        [nn.Conv2d(3, 1, 1), nn.Conv2d(1, 8, 1)],  # a narrow middle is cheaper apart
    ],
)
def test_rows_that_stay(layers: list[nn.Module]) -> None:
    graph = captured(*layers)
    assert merge_linear_layers(graph) == (graph, ())


def test_a_bias_that_nobody_reads_meets_the_padding_without_harm() -> None:
    first, second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 2, 3, padding=1)
    with torch.no_grad():
        second.weight[:, :4] = 0
        first.bias[4:] = 0  # type: ignore[index]
    graph = captured(first, second)
    merged, told = merge_linear_layers(graph)
    assert told
    check(graph, merged)


def test_sparse_factors_stay_apart() -> None:
    """A diagonal and a dense 8 x 8: 8 + 64 multiplications, merged 64. Two of one weight in eight: 16, merged 64."""
    dense, diagonal, sparse = (nn.Conv2d(8, 8, 1, bias=False) for _ in range(3))
    with torch.no_grad():
        diagonal.weight.mul_(torch.eye(8).view(8, 8, 1, 1))
        sparse.weight.zero_()[:, 0] = sparse.weight.new_ones(8, 1, 1)
    assert merge_linear_layers(captured(diagonal, dense, channels=8))[1]
    row = nn.Conv2d(8, 8, 1, bias=False)
    with torch.no_grad():
        row.weight.zero_()[0] = 1
    graph = captured(row, sparse, channels=8)
    assert merge_linear_layers(graph) == (graph, ())


def test_a_value_that_others_read_stays() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x)
            return (self.second(y) + y).flatten(1)

    graph = capture(Twice().requires_grad_(False), (3, SIZE, SIZE))
    assert merge_linear_layers(graph) == (graph, ())


def test_three_in_a_row_where_two_would_not_pay() -> None:
    """Rotation 8 -> 7, core 7 -> 7, rotation 7 -> 8: 56 + 49 + 56 weights; two as one 56 + 56; all as one 64."""
    layers = [nn.Conv2d(8, 7, 1, bias=False), nn.Conv2d(7, 7, 1, bias=False), nn.Conv2d(7, 8, 1, bias=False)]
    graph = captured(*layers, channels=8)
    merged, told = merge_linear_layers(graph)
    assert told == (MergedLayer("0", "1"), MergedLayer("1", "2"))
    assert network_totals(merged).parameters == 64
    check(graph, merged)
