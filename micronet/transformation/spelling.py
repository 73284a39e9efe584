"""One spelling for what can be said in several ways at the same cost, so that a network and its file say the same."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from micronet.analysis.shapes import Shapes, first_ref, shapes
from micronet.analysis.widths import single_numbers
from micronet.graph.ir import Argument, Graph, Node, Ref, Target

aten = torch.ops.aten

IDENTITIES: frozenset[Target] = frozenset(
    {
        aten.contiguous.default,
        aten.clone.default,
        aten.alias.default,
        aten.detach.default,
        aten.dropout.default,
        aten.feature_dropout.default,
    }
)
"""Operations that give their first operand back, outside training."""


def one_spelling(graph: Graph) -> Graph:
    """The same function at the same cost: every clip of both ends a hardtanh, one from 0 up a relu, and of values and a
    number the larger or smaller a clip; every product of matrices a matmul."""
    return replace(graph, nodes=tuple(map(_respelled, _with_clips(graph))))


def drop_identities(graph: Graph) -> Graph:
    """The same function without operations that do nothing.

    Some of these lay values out anew in memory, which a view may need: every view becomes a reshape, which needs none.
    """
    view, free = aten.view.default, aten.reshape.default
    nodes = tuple(replace(node, target=free) if node.target is view else node for node in graph.nodes)
    return replace(graph, nodes=nodes).without(
        {node.name: first_ref(node) for node in nodes if node.target in IDENTITIES}
    )


def _with_clips(graph: Graph) -> tuple[Node, ...]:
    if not any(node.target in _CHOICES for node in graph.nodes):
        return graph.nodes
    numbers, known = single_numbers(graph), shapes(graph)
    return tuple(_as_clip(node, numbers, known) if node.target in _CHOICES else node for node in graph.nodes)


def _as_clip(node: Node, numbers: Mapping[str, float], known: Shapes) -> Node:
    """The larger of values and a number is a clip from below, the smaller one from above, if the values have the shape
    of the result."""
    for x, other in (node.args, node.args[::-1]):
        number = numbers.get(other.name) if isinstance(other, Ref) else None
        if number is not None and isinstance(x, Ref) and known[x.name] == known[node.name]:
            low, high = (number, None) if node.target is aten.maximum.default else (None, number)
            return replace(node, target=aten.clamp.default, args=(x, low, high))
    return node


def _respelled(node: Node) -> Node:
    rule = None if node.kwargs else _SPELLINGS.get(node.target)
    spelled = None if rule is None else rule(*node.args)
    return node if spelled is None else replace(node, target=spelled[0], args=spelled[1])


_Spelled = tuple[Target, tuple[Argument, ...]] | None


def _clamp(x: Argument, low: Argument = None, high: Argument = None) -> _Spelled:
    if high is None:
        return (aten.relu.default, (x,)) if low == 0 else None
    return None if low is None else (aten.hardtanh.default, (x, low, high))


_CHOICES: frozenset[Target] = frozenset({aten.maximum.default, aten.minimum.default})
_SPELLINGS: Mapping[Target, Callable[..., _Spelled]] = {
    aten.relu6.default: lambda x: (aten.hardtanh.default, (x, 0.0, 6.0)),
    aten.clamp.default: _clamp,
    aten.clamp_min.default: lambda x, low: _clamp(x, low) or (aten.clamp.default, (x, low, None)),
    aten.clamp_max.default: lambda x, high: (aten.clamp.default, (x, None, high)),
    aten.mm.default: lambda x, y: (aten.matmul.default, (x, y)),
    aten.bmm.default: lambda x, y: (aten.matmul.default, (x, y)),
}
"""Operation -> the one it is spelled as, with its arguments; None where it stays."""
