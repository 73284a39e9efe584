"""Between which numbers each value lies, whatever the image: as far as quantizers and activation functions tell."""

from collections.abc import Mapping

import torch

from micronet.analysis.widths import activation_grid
from micronet.evaluation.kernels import clip_ends
from micronet.graph.ir import Graph, Node, Ref

aten = torch.ops.aten

Bounds = tuple[float, float]
"""Smallest and largest value there can be."""

_KEEPS = frozenset({aten.max_pool2d.default, aten.avg_pool2d.default, aten.adaptive_avg_pool2d.default, aten.mean.dim})
_GATES = frozenset({aten.sigmoid.default, aten.hardsigmoid.default})
_LOWEST = {aten.relu.default: 0.0, aten.hardswish.default: -0.375, aten.silu.default: -0.27846455}
"""Functions of x that are never above max(x, 0), and their smallest value."""


def bounds(graph: Graph) -> Mapping[str, Bounds]:
    """Bounds of the values that have any, up to float32 rounding, by name."""
    known: dict[str, Bounds] = {}
    for node in graph.nodes:
        found = _bounds_of(node, known)
        if found is not None:
            known[node.name] = found
    return known


def _bounds_of(node: Node, known: Mapping[str, Bounds]) -> Bounds | None:
    grid = activation_grid(node)
    if grid is not None:
        return clip_ends(grid)
    if node.target in _GATES:
        return 0.0, 1.0
    operand = node.args[0] if node.args else None
    inner = known.get(operand.name) if isinstance(operand, Ref) else None
    return None if inner is None else _image(node, *inner)


def _image(node: Node, low: float, high: float) -> Bounds | None:
    """Bounds of the node's value where those of its first operand are `low` and `high`."""
    if node.target in _KEEPS:
        scaled = node.target is aten.avg_pool2d.default and node.argument(6) is not None
        return None if scaled or node.kwargs else (min(low, 0.0), max(high, 0.0))
    if node.target in _LOWEST:
        return _LOWEST[node.target], max(high, 0.0)
    if node.target is aten.mul.Tensor and isinstance(factor := node.args[1], float | int):
        return min(low * factor, high * factor), max(low * factor, high * factor)
    return None
