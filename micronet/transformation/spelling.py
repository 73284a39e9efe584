"""One spelling for what can be said in several ways at the same cost, so that a network and its file say the same."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from micronet.analysis.shapes import first_ref
from micronet.graph.ir import Argument, Graph, Node, Target

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
    """The same function at the same cost: every clip of both ends a hardtanh, every product of matrices a matmul."""
    return replace(graph, nodes=tuple(_respelled(node) for node in graph.nodes))


def drop_identities(graph: Graph) -> Graph:
    """The same function without operations that do nothing.

    Some of these lay values out anew in memory, which a view may need: every view becomes a reshape, which needs none.
    """
    view, free = aten.view.default, aten.reshape.default
    nodes = tuple(replace(node, target=free) if node.target is view else node for node in graph.nodes)
    return replace(graph, nodes=nodes).without(
        {node.name: first_ref(node) for node in nodes if node.target in IDENTITIES}
    )


def _respelled(node: Node) -> Node:
    rule = None if node.kwargs else _SPELLINGS.get(node.target)
    spelled = None if rule is None else rule(*node.args)
    return node if spelled is None else replace(node, target=spelled[0], args=spelled[1])


_Spelled = tuple[Target, tuple[Argument, ...]] | None


def _clamp(x: Argument, low: Argument = None, high: Argument = None) -> _Spelled:
    return None if low is None or high is None else (aten.hardtanh.default, (x, low, high))


_SPELLINGS: Mapping[Target, Callable[..., _Spelled]] = {
    aten.relu6.default: lambda x: (aten.hardtanh.default, (x, 0.0, 6.0)),
    aten.clamp.default: _clamp,
    aten.clamp_min.default: lambda x, low: (aten.clamp.default, (x, low, None)),
    aten.clamp_max.default: lambda x, high: (aten.clamp.default, (x, None, high)),
    aten.mm.default: lambda x, y: (aten.matmul.default, (x, y)),
    aten.bmm.default: lambda x, y: (aten.matmul.default, (x, y)),
}
"""Operation -> the one it is spelled as, with its arguments; None where it stays."""
