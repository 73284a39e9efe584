"""Padding given in words, as numbers."""

from dataclasses import replace
from typing import cast

import torch

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
    defaults: tuple[Argument, ...] = (None, 1, "valid", 1, 1)
    bias, stride, padding, dilation, groups = (*node.args[2:], *defaults[len(node.args) - 2 :])
    strides, spreads = _pair(stride), _pair(dilation)
    weight = node.args[1]
    if not isinstance(weight, Ref) or weight.name not in graph.weights:
        return node
    kernel = graph.weights[weight.name].shape[2:]
    reach = [spread * (side - 1) for side, spread in zip(kernel, spreads, strict=True)]
    if padding == "same" and any(side % 2 for side in reach):
        return node
    sides = tuple(side // 2 if padding == "same" else 0 for side in reach)
    args: tuple[Argument, ...] = (node.args[0], weight, bias, strides, sides, spreads, groups)
    return replace(node, target=aten.conv2d.default, args=args)


def _pair(given: Argument) -> tuple[int, int]:
    """Along both axes: convolutions with numbers take no single one."""
    both = cast(tuple[int, ...], given if isinstance(given, tuple) else (given,))
    return both[0], both[-1]
