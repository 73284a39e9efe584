"""Batch norm, merged into the layer before it, or into the one after it where that is exact."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micronet.analysis.parameters import scale_and_shift
from micronet.analysis.shapes import Shapes, first_ref, shapes
from micronet.graph.ir import Graph, Node, Ref
from micronet.graph.names import Names
from micronet.transformation.linear_layers import Cost, LinearLayer, put_back, read_weighted

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class MergedNorm:
    """A batch norm that went, and the layer that took it over, by the paths a person knows them by."""

    norm: str
    into: str


def fuse_batchnorm(graph: Graph) -> Graph:
    """The same function to rounding, with fewer batch norms; see `merge_batchnorms`."""
    return merge_batchnorms(graph)[0]


def merge_batchnorms(graph: Graph) -> tuple[Graph, tuple[MergedNorm, ...]]:
    """The same function to rounding, with fewer batch norms, and where these went.

    After a layer, y = scale * (W x + b) + shift is a layer with weights scale * W and bias scale * b + shift (Jacob et
    al. 2018, section 3.2). Before one, W (scale * x + shift) + b is a layer with weights W * scale, along the inputs,
    and bias b + W shift; that is exact only where no zero padding comes in between, so for 1x1 convolutions without
    padding and for fully connected layers. PyramidNet's first batch norm of a block is of that kind. A layer without a
    bias takes one on for it, which may be dearer than the norm: there it is merged where nothing that is counted grows.
    A value that something else reads too stays, and so does its batch norm.
    """
    known, names = shapes(graph), graph.names()
    merged: list[MergedNorm] = []
    while merges := _one_round(graph, known):
        merged += [MergedNorm(merge.norm.path, merge.layer.node.path) for merge in merges]
        graph = _apply(graph, merges, names)
    return graph, tuple(merged)


@dataclass(frozen=True, slots=True)
class _Merge:
    """A batch norm that goes, and what the layer becomes that takes it over."""

    norm: Node
    layer: LinearLayer


def _one_round(graph: Graph, known: Shapes) -> list[_Merge]:
    """Every batch norm that can be merged and touches no other merge of the same round, in the order of the graph."""
    makers, users = graph.by_name(), graph.users()
    merges: list[_Merge] = []
    touched: set[str] = set()
    for norm in graph.nodes:
        if norm.target is not aten.batch_norm.default or not _channels_are_features(norm, makers, users, known):
            continue
        layer = _layer_before(graph, norm, makers, users) or _layer_after(graph, norm, users, known)
        if layer is not None and not touched & {layer.node.name, norm.name}:
            merges.append(_Merge(norm, layer))
            touched.update({layer.node.name, norm.name})
    return merges


def _apply(graph: Graph, merges: list[_Merge], names: Names) -> Graph:
    graph = put_back(graph, {merge.layer.node.name: merge.layer for merge in merges}, names)
    return graph.without({merge.norm.name: first_ref(merge.norm) for merge in merges})


def _layer_before(
    graph: Graph, norm: Node, makers: Mapping[str, Node], users: Mapping[str, list[Node]]
) -> LinearLayer | None:
    """What the layer that `norm` alone reads becomes."""
    maker = makers.get(first_ref(norm))
    layer = None if maker is None else read_weighted(graph, maker, users)
    if layer is None or len(users[layer.node.name]) != 1 or layer.node.name == graph.output:
        return None
    scale, shift = (part.double() for part in scale_and_shift(graph, norm))
    weight = layer.weight.double() * scale.view(-1, *[1] * (layer.weight.dim() - 1))
    return replace(layer, weight=weight, bias=shift if layer.bias is None else layer.bias.double() * scale + shift)


def _layer_after(graph: Graph, norm: Node, users: Mapping[str, list[Node]], known: Shapes) -> LinearLayer | None:
    """What the layer that alone reads `norm` becomes; None where the bias that it gets costs more than the norm."""
    readers = users.get(norm.name, [])
    layer = read_weighted(graph, readers[0], users) if len(readers) == 1 and norm.name != graph.output else None
    if layer is None or layer.source != norm.name or not layer.is_pointwise or layer.groups != 1:
        return None
    scale, shift = (part.double() for part in scale_and_shift(graph, norm))
    matrix = layer.weight.double().flatten(1)
    offset = matrix @ shift
    weight = (matrix * scale).view(layer.weight.shape)
    bias = offset if layer.bias is None else offset + layer.bias.double()
    merged = replace(layer, weight=weight, bias=bias)
    stored = layer.bias is not None and layer.node.argument(2) not in {Ref(name) for name in graph.literals}
    return merged if stored or _is_no_dearer(merged, layer, norm, known) else None


def _is_no_dearer(merged: LinearLayer, layer: LinearLayer, norm: Node, known: Shapes) -> bool:
    """Whether a layer with a bias costs no more by any number than a norm and a layer that stores none."""
    positions = known.elements(layer.node.name) // len(layer.weight)
    channels, elements = known[norm.name][1], known.elements(norm.name)
    apart = replace(layer, weight=_told(layer.weight), bias=None).cost(positions)
    apart += Cost(2 * channels, 2 * channels, elements, elements)  # a scale and a shift
    together = replace(merged, weight=_told(merged.weight), bias=None if merged.bias is None else _told(merged.bias))
    return together.cost(positions).is_at_most(apart)


def _told(tensor: Tensor) -> Tensor:
    """A tensor whose zeros can be told: of one on the meta device, none is taken for a zero."""
    return torch.ones(()).expand(tensor.shape) if tensor.is_meta else tensor


def _channels_are_features(
    norm: Node, makers: Mapping[str, Node], users: Mapping[str, list[Node]], known: Shapes
) -> bool:
    """Whether axis 1, which a batch norm scales, is what the layers beside it sum over.

    A fully connected layer sums over the last axis, which is another one where there are more than two.
    """
    maker = makers.get(first_ref(norm))
    beside = [*users.get(norm.name, []), *([] if maker is None else [maker])]
    return len(known[norm.name]) == 2 or all(node.target is not aten.linear.default for node in beside)
