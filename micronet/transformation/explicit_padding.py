"""Padding given in words, as numbers."""

from dataclasses import replace

import torch

from micronet.graph.geometry import per_axis
from micronet.graph.ir import Argument, Graph, Node, Ref

aten = torch.ops.aten


def explicit_padding(graph: Graph) -> Graph:
    """The same function, with `padding="valid"` and `padding="same"` of 2-d convolutions as numbers.

    "same" of an even kernel pads one side more than the other, which no numbers say; such a node stays as it is.
    """
    return replace(graph, nodes=tuple(_explicit(graph, node) for node in graph.nodes))


def _explicit(graph: Graph, node: Node) -> Node:
    if node.target is not aten.conv2d.padding or node.kwargs:
        return node
    weight, bias, stride, padding, dilation, groups = (node.argument(index) for index in range(1, 7))
    strides, spreads = per_axis(stride, 2), per_axis(dilation, 2)
    if not isinstance(weight, Ref) or weight.name not in graph.weights:
        return node
    kernel = graph.weights[weight.name].shape[2:]
    reach = [spread * (side - 1) for side, spread in zip(kernel, spreads, strict=True)]
    if padding == "same" and any(side % 2 for side in reach):
        return node
    sides = tuple(side // 2 if padding == "same" else 0 for side in reach)
    args: tuple[Argument, ...] = (node.args[0], weight, bias, strides, sides, spreads, groups)
    return replace(node, target=aten.conv2d.default, args=args)
