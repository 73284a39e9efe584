"""Sums with 0 and products with 1."""

from collections.abc import Mapping

import torch
from torch import Tensor

from micronet.analysis.shapes import unspread
from micronet.graph.ir import Argument, Graph, Node, Ref, Target
from micronet.graph.meta import values_on_meta

aten = torch.ops.aten

_IDLE: Mapping[Target, int] = {
    **dict.fromkeys((aten.add.Tensor, aten.add.Scalar, aten.sub.Tensor, aten.sub.Scalar), 0),
    **dict.fromkeys((aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar), 1),
}
"""Operation -> the second operand with which it gives its first one back."""


def drop_idle_arithmetic(graph: Graph) -> Graph:
    """The same function without x + 0, x - 0, x * 1 and x / 1, which identities are (SCORING section 3: nothing).

    Python's sum() begins with 0, and torch has 1 / x as the reciprocal times 1. A number is one that stands in the
    graph, or a literal, spread over the images or not; where it makes another type or shape of its operand, as 1.0 does
    of whole numbers, it stays.
    """
    makers = graph.by_name()
    idle = {node.name: kept for node in graph.nodes if (kept := _kept(graph, makers, node)) is not None}
    if not idle:
        return graph
    kinds = [_kinds(graph, images) for images in (2, 3)]  # a size that equals one of these does not equal the other
    alike = {name: kept for name, kept in idle.items() if all(each[kept] == each[name] for each in kinds)}
    return graph.without(alike)


def _kept(graph: Graph, makers: Mapping[str, Node], node: Node) -> str | None:
    """Name of the operand that the node gives back, as far as the other one says."""
    if node.target not in _IDLE or node.kwargs or len(node.args) != 2:
        return None
    number, (one, other) = _IDLE[node.target], node.args
    if isinstance(one, Ref) and _says(graph, makers, other, number):
        return one.name
    commutes = node.target in (aten.add.Tensor, aten.mul.Tensor)
    return other.name if commutes and isinstance(other, Ref) and _says(graph, makers, one, number) else None


def _says(graph: Graph, makers: Mapping[str, Node], argument: Argument, number: int) -> bool:
    """Whether the argument is `number`, or a tensor of nothing else that no training set."""
    if not isinstance(argument, Ref):
        return type(argument) in (int, float) and argument == number
    literal = unspread(makers, argument.name)
    if literal not in graph.literals or graph.weights[literal].is_meta:
        return False
    return bool((graph.weights[literal] == number).all())


def _kinds(graph: Graph, count: int) -> dict[str, tuple[torch.dtype, torch.Size]]:
    """Type and shape of every tensor, by its name, for so many images."""
    values = values_on_meta(graph, count).items()
    return {name: (value.dtype, value.shape) for name, value in values if isinstance(value, Tensor)}
