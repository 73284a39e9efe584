"""What a constant mask chooses, as arithmetic, which has a price and is written."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from micronet.analysis.shapes import shapes, unspread
from micronet.errors import FINITE_MASK, NotFinite
from micronet.graph.ir import Argument, Graph, Node, Ref, Target

aten = torch.ops.aten

_Choice = tuple[Argument, Argument, Argument]
"""Where it holds, this; else that."""
_CHOICES: Mapping[Target, Callable[..., _Choice]] = {
    **dict.fromkeys((aten.masked_fill.Scalar, aten.masked_fill.Tensor), lambda x, mask, number: (mask, number, x)),
    **dict.fromkeys(
        (aten.where.self, aten.where.ScalarSelf, aten.where.ScalarOther), lambda mask, one, other: (mask, one, other)
    ),
}


def masks_as_arithmetic(graph: Graph) -> Graph:
    """The same function of finite values without choices by truth values that no image changes.

    masked_fill(x, mask, number) is x * (mask as zeros, the rest as ones) + (number where the mask is), one
    multiplication and one addition per element, and no addition where the number is 0; of two values, both are
    multiplied. Both tensors are stored, once for all choices by one mask. Runs on a graph whose constants are folded.
    Raises NotFinite for an infinite number: times zero it is none.
    """
    if not any(node.target in _CHOICES for node in graph.nodes):
        return graph
    masks = _Masks(graph)
    nodes = tuple(made for node in graph.nodes for made in masks.spelled(node))
    return replace(graph, nodes=nodes, weights={**graph.weights, **masks.tables}).live()


class _Masks:
    """Spells choices, and makes each table of zeros, ones and numbers once."""

    def __init__(self, graph: Graph) -> None:
        self.tables: dict[str, Tensor] = {}
        self._graph, self._makers = graph, graph.by_name()
        self._shapes, self._names = shapes(graph), graph.names()
        self._known: dict[tuple[str, bool, Argument], str] = {}

    def spelled(self, node: Node) -> list[Node]:
        """The node itself, unless it chooses among values by a constant; else what computes the same."""
        choice = _CHOICES[node.target](*node.args) if node.target in _CHOICES and not node.kwargs else None
        mask = None if choice is None else self._mask(choice[0])
        if choice is None or mask is None or not self._keeps_shape(node, choice[1:]):
            return [node]
        everywhere = next((value for value, part in self._parts(mask, choice) if bool(part.all())), None)
        if self._has_shape_of(node, everywhere):
            return [replace(node, target=aten.alias.default, args=(everywhere,), kwargs={})]
        nodes: list[Node] = []
        terms: list[Argument] = []
        for side, (value, part) in zip((True, False), self._parts(mask, choice), strict=True):
            if self._is_made(value):
                name = self._names.new(f"{node.name}.{'one' if side else 'other'}", "_")
                nodes.append(Node(name, aten.mul.Tensor, (value, self._table(node, mask, side, 1.0)), layer=node.layer))
                terms.append(Ref(name))
            elif bool(part.any()):
                terms.append(self._table(node, mask, side, value))
        return [*nodes, replace(node, target=aten.add.Tensor, args=(*terms, 0)[:2], kwargs={})]

    def _mask(self, argument: Argument) -> str | None:
        """Name of the constant that the truth values are, before they are spread over the images."""
        name = unspread(self._makers, argument.name) if isinstance(argument, Ref) else ""
        mask = self._graph.weights.get(name)
        return None if mask is None or mask.is_meta or mask.dtype != torch.bool else name

    def _parts(self, mask: str, choice: _Choice) -> list[tuple[Argument, Tensor]]:
        """Each value, and where it is chosen; of a constant, where it is chosen and not 0."""
        holds = self._graph.weights[mask]
        return [
            (value, holds == side if self._is_made(value) else self._chosen(mask, side, value) != 0)
            for side, value in zip((True, False), choice[1:], strict=True)
        ]

    def _keeps_shape(self, node: Node, values: tuple[Argument, ...]) -> bool:
        """Whether one of the values has the shape of the result, and all that are constants have their numbers."""
        constants = [weight for value in values if (weight := self._graph.weight(value)) is not None]
        return any(self._has_shape_of(node, value) for value in values) and not any(one.is_meta for one in constants)

    def _has_shape_of(self, node: Node, value: Argument) -> bool:
        return isinstance(value, Ref) and self._is_made(value) and self._shapes[value.name] == self._shapes[node.name]

    def _is_made(self, value: Argument) -> bool:
        return isinstance(value, Ref) and value.name not in self._graph.weights

    def _chosen(self, mask: str, side: bool, value: Argument) -> Tensor:
        """The constant `value` where the mask is `side`, else 0."""
        number = self._graph.weight(value)
        number = torch.tensor(value) if number is None else number
        return torch.where(self._graph.weights[mask] == side, number.float(), 0.0)

    def _table(self, node: Node, mask: str, side: bool, value: Argument) -> Ref:
        key = (mask, side, value)
        if key not in self._known:
            table = self._chosen(mask, side, value)
            if not bool(table.isfinite().all()):
                raise NotFinite(f"{node.path} puts NaN or infinity where its mask is. {FINITE_MASK}")
            self._known[key] = self._names.new(f"{mask}.numbers", "_")
            self.tables[self._known[key]] = table
        return Ref(self._known[key])
