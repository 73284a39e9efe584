"""Which integers a quantizer can give at all, where what it reads is worked out of another quantizer's values."""

from collections.abc import Mapping

import torch
from torch import Tensor

from micronet.analysis.shapes import first_ref
from micronet.analysis.widths import activation_grid
from micronet.graph.grid import Grid
from micronet.graph.ir import Node, Target

aten = torch.ops.aten

MOST_POINTS = 1 << 16
"""Of a grid that is gone through point by point."""

EXACT: frozenset[Target] = frozenset(
    {
        aten.add.Tensor,
        aten.sub.Tensor,
        aten.mul.Tensor,
        aten.neg.default,
        aten.relu.default,
        aten.hardtanh.default,
        aten.clamp.default,
    }
)
"""Operations on each element alone whose result IEEE 754 says to the bit, so that it is the same everywhere."""
MOST_STEPS = 32
"""Of a function that is gone through."""


def attainable(makers: Mapping[str, Node], quantizer: Node, grid: Grid) -> tuple[int, int]:
    """The least and the greatest integer that `quantizer`, onto `grid`, can give for any image; `makers` are the nodes
    of its graph, in their order, by name.

    What it reads may be a function of one value that is on a grid itself, element by element, as the x * clip(x + 3, 0,
    6) of a hard swish in steps is: then the function is computed for every point of that grid, in both precisions
    that evaluation knows, which have to agree. In any other case these are the grid's ends.
    """
    chain = _chain(makers, first_ref(quantizer))
    if chain is None:
        return grid.low, grid.high
    single, double = (_computed(*chain, quantizer, precision) for precision in (torch.float32, torch.float64))
    if not torch.equal(single.double(), double):
        return grid.low, grid.high
    integers = (double / grid.steps[0]).round()
    return int(integers.min()), int(integers.max())


def _computed(root: Node, nodes: tuple[Node, ...], quantizer: Node, precision: torch.dtype) -> Tensor:
    """What `quantizer` gives for every point of the grid of `root`, through `nodes`."""
    grid = activation_grid(root)
    assert grid is not None
    points = torch.arange(grid.low, grid.high + 1, dtype=torch.float64) * grid.steps[0]
    values: dict[str, object] = {root.name: points.to(precision)}
    for node in (*nodes, quantizer):
        values[node.name] = node.value(values)
    found = values[quantizer.name]
    assert isinstance(found, Tensor)
    return found


def _chain(makers: Mapping[str, Node], name: str) -> tuple[Node, tuple[Node, ...]] | None:
    """The one quantizer that `name` is a function of, and the operations from there, in order; None where it is none.

    A quantizer is a function of what it reads, too: where several are met, the last of them is gone through, until one
    is left. Long functions are not gone through.
    """
    wanted, nodes, roots = [name], set[str](), set[str]()
    while wanted or len(roots) > 1:
        if wanted:
            node = makers.get(wanted.pop())
        else:
            node = makers[max(roots, key=list(makers).index)]
            roots.remove(node.name)
            nodes.add(node.name)
            node = makers.get(first_ref(node))
        if node is None or len(nodes) > MOST_STEPS:
            return None  # the image itself, or a constant that may differ from element to element
        grid = activation_grid(node)
        if grid is not None:
            if not grid.is_fixed_point or grid.high - grid.low >= MOST_POINTS:
                return None
            if node.name not in nodes:
                roots.add(node.name)
        elif node.target in EXACT:
            nodes.add(node.name)
            wanted += [ref.name for ref in node.refs() if ref.name not in nodes]
        else:
            return None
    if not roots:
        return None
    return makers[roots.pop()], tuple(node for name, node in makers.items() if name in nodes)
