"""Quantizers that put one value on one grid, merged: it is converted once, however many read it."""

from collections.abc import Hashable, Mapping
from dataclasses import replace

from torch import Tensor

from micronet.analysis.widths import QUANTIZERS
from micronet.graph.ir import Argument, Graph, Node, Ref


def merge_quantizers(graph: Graph) -> Graph:
    """The same function, with one quantizer of each value for each grid.

    Files say it in several ways: one DequantizeLinear for all readers, one for each, or a pair for each.
    """
    first: dict[Hashable, str] = {}
    renamed: dict[str, str] = {}
    nodes: list[Node] = []
    for old in graph.nodes:
        node = old.renamed(renamed) if renamed else old
        if node.target in QUANTIZERS:
            place = (node.target, *(_content(argument, graph.weights) for argument in node.args))
            if first.setdefault(place, node.name) != node.name:
                renamed[node.name] = first[place]
                continue
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes), output=renamed.get(graph.output, graph.output)).live()


def _content(argument: Argument, weights: Mapping[str, Tensor]) -> Hashable:
    """What tells two grids apart: the numbers of steps and zero points, whatever they are called."""
    weight = weights.get(argument.name) if isinstance(argument, Ref) else None
    return argument if weight is None or weight.dim() != 1 else tuple(weight.tolist())
