"""Linear layers in a row, merged into one where one is cheaper."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micronet.analysis.shapes import Shapes, shapes
from micronet.graph.ir import Graph, Node
from micronet.transformation.linear_layers import LinearLayer, put_back, read_layer


@dataclass(frozen=True, slots=True)
class MergedLayer:
    """A layer that went, and the one after it that took it over, by the paths a person knows them by."""

    layer: str
    into: str


def merge_linear_layers(graph: Graph) -> tuple[Graph, tuple[MergedLayer, ...]]:
    """The same function to rounding, with fewer layers where fewer cost less, and where these went.

    Of y = W1 x + b1 and z = W2 y + b2 follows z = (W2 W1) x + (W2 b1 + b2), W2 W1 summing over the channels of y:

        fully connected, fully connected    W[o, i] = sum_c W2[o, c] W1[c, i]
        k x k, then 1 x 1                   W[o, i, u, v] = sum_c W2[o, c] W1[c, i, u, v], the padding and dilation of
                                            the first, and both strides: position s2 p of y is position s1 s2 p of x
        1 x 1 of stride 1, then k x k       W[o, i, u, v] = sum_c W2[o, c, u, v] W1[c, i], the geometry of the second;
                                            its padding is zero where y would be b1, so one of both has to be zero

    Layers may be any number in a row, as long as nobody else reads the values in between. One layer counts as cheaper
    where it has no more parameters, zeros in or out, and takes no more multiplications or additions: sparse or narrow
    factors (the rotations around a small core) are often cheaper apart. Groups are left alone.
    """
    known, users = shapes(graph), graph.users()
    layers: dict[str, LinearLayer] = {}
    merged: dict[str, LinearLayer] = {}
    told: list[MergedLayer] = []
    for node in graph.nodes:
        layer = read_layer(graph, node, users)
        if layer is None or layer.groups != 1:
            continue
        best, gone = _cheapest(layer, layers, known, users, graph.output)
        layers[node.name] = best
        if gone:
            merged[node.name] = best
            told += [MergedLayer(one.node.path, node.path) for one in reversed(gone)]
            for one in gone:
                merged.pop(one.node.name, None)
    return (put_back(graph, merged, graph.names()), tuple(told)) if merged else (graph, ())


def composed(first: LinearLayer, second: LinearLayer) -> LinearLayer | None:
    """Both as one layer, tensors in float64; None where that is no layer."""
    if first.weight.dim() != second.weight.dim() or first.groups != 1 or second.groups != 1:
        return None
    W1, W2 = first.weight.double(), second.weight.double()
    node = replace(second.node, args=(first.node.args[0], *second.node.args[1:]))
    bias = _bias(first, second)
    if second.is_pointwise:
        weight = (W2.flatten(1) @ W1.flatten(1)).view(len(W2), *W1.shape[1:])
        stride = tuple(one * two for one, two in zip(first.stride, second.stride, strict=True))
        return LinearLayer(node, weight, bias, stride, first.padding, first.dilation)
    if first.is_pointwise and all(step == 1 for step in first.stride) and _padding_is_right(first, second):
        weight = torch.einsum("ocu,ci->oiu", W2.flatten(2), W1.flatten(1)).reshape(len(W2), -1, *W2.shape[2:])
        return LinearLayer(node, weight, bias, second.stride, second.padding, second.dilation)
    return None


def _bias(first: LinearLayer, second: LinearLayer) -> Tensor | None:
    """W2 b1 + b2."""
    if first.bias is None:
        return None if second.bias is None else second.bias.double()
    through = second.weight.double().flatten(2).sum(2) if second.weight.dim() > 2 else second.weight.double()
    bias = through @ first.bias.double()
    return bias if second.bias is None else bias + second.bias.double()


def _padding_is_right(first: LinearLayer, second: LinearLayer) -> bool:
    """Whether what the second pads with, zero, is what the first makes of zero, in all channels that are read."""
    if first.bias is None or not any(second.padding):
        return True
    return not bool((second.weight.transpose(0, 1).flatten(1).any(1) & (first.bias != 0)).any())


def _cheapest(
    layer: LinearLayer,
    before: Mapping[str, LinearLayer],
    known: Shapes,
    users: Mapping[str, list[Node]],
    output: str,
) -> tuple[LinearLayer, list[LinearLayer]]:
    """`layer` with as many of the layers in front of it as pays, and those, the nearest first."""
    best, gone = layer, list[LinearLayer]()
    whole, passed = layer, list[LinearLayer]()
    price = layer.cost(_positions(layer, known))
    for first in _in_front(layer, before, users, output):
        together = composed(first, whole)
        if together is None:
            break
        whole, passed = together, [*passed, first]
        price += first.cost(_positions(first, known))
        rounded = replace(whole, weight=whole.weight.float(), bias=None if whole.bias is None else whole.bias.float())
        cost = rounded.cost(_positions(layer, known))
        if cost.is_below(price):
            best, gone, price = rounded, passed, cost
    return best, gone


def _in_front(
    layer: LinearLayer, before: Mapping[str, LinearLayer], users: Mapping[str, list[Node]], output: str
) -> Iterator[LinearLayer]:
    """The layers right before `layer` whose values nobody else reads, the nearest first."""
    while (first := before.get(layer.source)) is not None:
        if len(users[first.node.name]) != 1 or first.node.name == output:
            return
        yield first
        layer = first


def _positions(layer: LinearLayer, known: Shapes) -> int:
    return known.elements(layer.node.name) // len(layer.weight)
