"""Linear layers over axes, folded by a file and whole again."""

import pytest
import torch
from torch import Tensor, nn

from micronet.graph.capture import capture
from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph
from micronet.network_file import from_bytes, to_bytes
from micronet.transformation.linear_over_axes import linear_over_axes

aten = torch.ops.aten


class Fold(nn.Module):
    """A linear layer between reshapes to and from matrices, or to what `back` is; `also` reads what `between` says."""

    def __init__(self, back: tuple[int, ...] = (-1, 4, 4, 5), between: str = "") -> None:
        super().__init__()
        self.layer, self._back, self._between = nn.Linear(3, 5), back, between

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 3, 1).reshape(-1, 3)
        made = self.layer(rows)
        result = made.reshape(self._back)
        extra = {"": 0.0, "rows": rows.sum(), "made": made.sum()}[self._between]
        return result + extra


def folded(module: nn.Module) -> Graph:
    with torch.no_grad():
        return capture(module.eval(), (3, 4, 4))


def linear_shapes(graph: Graph) -> list[bool]:
    """Of each linear layer, whether it reads a reshape."""
    by_name = graph.by_name()
    layers = [node for node in graph.nodes if node.target is aten.linear.default]
    return [by_name[node.args[0].name].target is aten.reshape.default for node in layers]  # type: ignore[union-attr]


def test_a_layer_is_whole_again_and_computes_the_same() -> None:
    graph = folded(Fold())
    whole = linear_over_axes(graph)
    assert (linear_shapes(graph), linear_shapes(whole)) == ([True], [False])
    assert len(whole.nodes) == len(graph.nodes) - 2
    assert whole.output == graph.output
    images = torch.randn(3, 3, 4, 4)
    torch.testing.assert_close(interpret(whole, images), interpret(graph, images))


def test_what_a_file_folds_is_as_it_was() -> None:
    with torch.no_grad():
        graph = linear_over_axes(capture(nn.Sequential(Fold(), nn.Flatten()).eval(), (3, 4, 4)))
    again = from_bytes(to_bytes(graph))
    assert (linear_shapes(graph), linear_shapes(again), linear_shapes(linear_over_axes(again))) == (
        [False], [True], [False])  # fmt: skip


@pytest.mark.parametrize(
    "module", [Fold((-1, 16, 5)), Fold((-1, 80)), Fold(between="rows"), Fold(between="made")], ids=str
)
def test_other_reshapes_stay(module: nn.Module) -> None:
    """To other axes than there were, or read by somebody else."""
    graph = folded(module)
    assert linear_over_axes(graph) == graph


class Row(nn.Module):
    """Linear layers of rows, with views between them that move nothing."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(48, 48) for _ in range(layers)])

    def forward(self, x: Tensor) -> Tensor:
        y = x.flatten(1).view(-1, 48)
        for layer in self.layers:
            y = layer(y).view(-1, 48)
        return y


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_a_view_between_two_layers_is_the_end_of_one_only(layers: int) -> None:
    """Each second layer takes the views around it along; the others read what it gives."""
    torch.manual_seed(0)
    graph = folded(Row(layers))
    whole = linear_over_axes(graph)
    images = torch.randn(3, 3, 4, 4)
    torch.testing.assert_close(interpret(whole, images), interpret(graph, images))
    assert len(whole.nodes) == len(graph.nodes) - 2 * ((layers + 1) // 2)
    assert interpret(from_bytes(to_bytes(whole)), images).shape == (3, 48)
