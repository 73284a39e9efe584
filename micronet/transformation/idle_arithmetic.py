"""Sums with 0 and products with 1."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from micronet.graph.interpret import interpret
from micronet.graph.ir import Graph, Node, Ref, Target
from micronet.graph.meta import on_meta

aten = torch.ops.aten

_IDLE: Mapping[Target, int] = {
    **dict.fromkeys((aten.add.Tensor, aten.add.Scalar, aten.sub.Tensor, aten.sub.Scalar), 0),
    **dict.fromkeys((aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar), 1),
}
"""Operation -> the second operand with which it gives its first one back."""


def drop_idle_arithmetic(graph: Graph) -> Graph:
    """The same function without x + 0, x - 0, x * 1 and x / 1, which identities are (SCORING section 3: nothing).

    Python's sum() begins with 0, and torch has 1 / x as the reciprocal times 1. Nothing but a number that stands in
    the graph is taken for one; where it makes another type of its operand, as 1.0 does of whole numbers, it stays.
    """
    idle = {node.name for node in graph.nodes if _adds_nothing(node)}
    if not idle:
        return graph
    types = _types(graph)
    renamed: dict[str, str] = {}
    nodes = []
    for node in graph.nodes:
        source = node.args[0] if node.name in idle else None
        if isinstance(source, Ref) and types[source.name] == types[node.name]:
            renamed[node.name] = renamed.get(source.name, source.name)
        else:
            nodes.append(node.renamed(renamed))
    return replace(graph, nodes=tuple(nodes), output=renamed.get(graph.output, graph.output))


def _adds_nothing(node: Node) -> bool:
    if node.target not in _IDLE or node.kwargs or len(node.args) != 2 or not isinstance(node.args[0], Ref):
        return False
    return type(node.args[1]) in (int, float) and node.args[1] == _IDLE[node.target]


def _types(graph: Graph) -> dict[str, torch.dtype]:
    """Of every tensor, by its name."""
    weights = {name: weight.to("meta") for name, weight in graph.weights.items()}
    images = torch.empty(1, *graph.input_shape, device="meta")
    types = {graph.input: images.dtype, **{name: weight.dtype for name, weight in weights.items()}}

    def observe(node: Node, value: object) -> None:
        if isinstance(value, Tensor):
            types[node.name] = value.dtype

    interpret(replace(graph, weights=weights), images, observe, on_meta)
    return types
