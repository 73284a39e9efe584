"""Quantizers that put one value on one grid, merged: it is converted once, however many read it, and not again."""

from collections.abc import Hashable, Mapping, Set
from dataclasses import replace

from micronet.analysis.widths import KEEPS_WIDTH, QUANTIZERS, activation_grid, is_size, padding_value
from micronet.graph.grid import Grid
from micronet.graph.ir import Argument, Graph, Node

_EXACT_BITS = 16
"""Up to so many bits, dividing a point of a grid by the step in float32 and rounding gives the point again."""


def merge_quantizers(graph: Graph) -> Graph:
    """The same function, with one quantizer of each value for each grid, and none of what lies on its grid already.

    Files say it in several ways: one DequantizeLinear for all readers, one for each, or a pair for each. They repeat
    the pair behind what only moves values or chooses among them (a max pool, a reshape, a concatenation of values on
    one grid), where it changes nothing.
    """
    first: dict[Hashable, str] = {}
    renamed: dict[str, str] = {}
    nodes: list[Node] = []
    grids = dict[str, Grid | None](graph.formats)
    bare = {name for name, weight in graph.weights.items() if not weight.is_floating_point()}
    for old in graph.nodes:
        node = old.renamed(renamed) if renamed else old
        if node.target in QUANTIZERS:
            source, grid = node.refs()[0].name, activation_grid(node)
            if grid is not None and grids.get(source) == grid and _is_exact(grid):
                renamed[node.name] = source
                continue
            place = (node.target, *(_content(graph, argument) for argument in node.args))
            if first.setdefault(place, node.name) != node.name:
                renamed[node.name] = first[place]
                continue
        if is_size(node):
            bare.add(node.name)
        grids[node.name] = activation_grid(node) or _passed_on(node, grids, bare)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes), output=renamed.get(graph.output, graph.output)).live()


def _is_exact(grid: Grid) -> bool:
    return grid.bits <= _EXACT_BITS and grid.has_common_steps


def _passed_on(node: Node, grids: Mapping[str, Grid | None], bare: Set[str]) -> Grid | None:
    """The one grid of all that the node moves or chooses among, with which zero lies on it, too.

    Sizes and indices, which are `bare`, have none.
    """
    if node.target not in KEEPS_WIDTH or padding_value(node) != 0:
        return None
    read = {grids.get(ref.name) for ref in node.refs() if ref.name not in bare}
    return read.pop() if len(read) == 1 else None


def _content(graph: Graph, argument: Argument) -> Hashable:
    """What tells two grids apart: the numbers of steps and zero points, whatever they are called."""
    weight = graph.weight(argument)
    return argument if weight is None or weight.dim() != 1 else tuple(weight.tolist())
