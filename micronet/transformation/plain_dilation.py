"""Dilation along an axis on which a kernel has nothing to spread."""

from dataclasses import replace

import torch

from micronet.analysis.shapes import shapes
from micronet.graph.geometry import per_axis
from micronet.graph.ir import Argument, Graph, Node, Ref, Target

aten = torch.ops.aten

_CONVOLUTIONS: frozenset[Target] = frozenset(
    {aten.conv1d.default, aten.conv1d.padding, aten.conv2d.default, aten.conv2d.padding}
)
_DILATION = 5
"""Which of their arguments it is."""


def plain_dilation(graph: Graph) -> Graph:
    """The same function, with a dilation of 1 along each axis on which a kernel has one element.

    Others do nothing there, but for ending the process: in oneDNN, of torch 2.13, on narrow images that are padded.
    """
    return replace(graph, nodes=tuple(_plain(graph, node) for node in graph.nodes))


def _plain(graph: Graph, node: Node) -> Node:
    if node.target not in _CONVOLUTIONS or node.kwargs or len(node.args) <= _DILATION:
        return node
    kernel, given = node.args[1], node.args[_DILATION]
    if not isinstance(kernel, Ref) or given in (1, (1,), (1, 1)):
        return node
    sides = _sides(graph, kernel.name)
    spreads = per_axis(given, len(sides))
    dilation: Argument = tuple(spread if side > 1 else 1 for side, spread in zip(sides, spreads, strict=True))
    return replace(node, args=(*node.args[:_DILATION], dilation, *node.args[_DILATION + 1 :]))


def _sides(graph: Graph, kernel: str) -> tuple[int, ...]:
    """Of a kernel (filters, inputs, *sides), which may be one that is computed."""
    shape = graph.weights[kernel].shape if kernel in graph.weights else shapes(graph)[kernel]
    return tuple(shape[2:])
