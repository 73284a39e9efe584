"""Linear layers over more than two axes, as one node again where a file has folded the axes away and back."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from micronet.analysis.shapes import Shapes, first_ref, shapes
from micronet.graph.ir import Graph, Node, Target

aten = torch.ops.aten

_RESHAPES: frozenset[Target] = frozenset({aten.reshape.default, aten.view.default})


def linear_over_axes(graph: Graph) -> Graph:
    """The same function, with linear layers over all axes where ONNX has a reshape, Gemm and a reshape.

    Gemm takes matrices only: x (n, t, c) becomes (n t, c), and what comes of it, (n t, o), becomes (n, t, o). Reshapes
    that move anything else, or whose values somebody else reads too, stay. One reshape between two layers, which moves
    nothing, is only one layer's.
    """
    linear = [node for node in graph.nodes if node.target is aten.linear.default]
    by_name, users = graph.by_name(), graph.users()
    rows = [(_alone_before(node, by_name, users), node, _alone_after(node, users)) for node in linear]
    folded = [(before, node, after) for before, node, after in rows if before and after and node.name != graph.output]
    if not folded:
        return graph
    known = shapes(graph, batch=2)
    whole: dict[str, Node] = {}
    gone: set[str] = set()
    for before, node, after in folded:
        free = before.name != graph.output and before.name not in whole
        if free and _is_folded(before, after, known):
            whole[after.name] = replace(node, name=after.name, args=(before.args[0], *node.args[1:]))
            gone |= {before.name, node.name}
    nodes = tuple(whole.get(node.name, node) for node in graph.nodes if node.name not in gone)
    return replace(graph, nodes=nodes)


def _alone_before(node: Node, by_name: Mapping[str, Node], users: Mapping[str, list[Node]]) -> Node | None:
    """The reshape that `node` reads, and nobody else."""
    before = by_name.get(first_ref(node))
    alone = before is not None and before.target in _RESHAPES and len(users[before.name]) == 1
    return before if alone else None


def _alone_after(node: Node, users: Mapping[str, list[Node]]) -> Node | None:
    """The reshape that reads `node`, if nobody else does."""
    readers = users.get(node.name, [])
    return readers[0] if len(readers) == 1 and readers[0].target in _RESHAPES else None


def _is_folded(before: Node, after: Node, known: Shapes) -> bool:
    """Whether they fold the axes of positions into one and back."""
    there, matrix, back = (known[name] for name in (first_ref(before), before.name, after.name))
    return len(matrix) == 2 and there[-1:] == matrix[-1:] and there[:-1] == back[:-1]
