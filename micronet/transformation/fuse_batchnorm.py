"""Batch norm, merged into the layer before it, or into the one after it where that is exact."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micronet.analysis.parameters import scale_and_shift
from micronet.analysis.shapes import Shapes, shapes
from micronet.graph.ir import Argument, Graph, Node, Ref
from micronet.graph.names import Names

aten = torch.ops.aten

_CONVOLUTIONS = frozenset({aten.conv1d.default, aten.conv2d.default})
_LAYERS = _CONVOLUTIONS | {aten.linear.default}


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
    padding and for fully connected layers. PyramidNet's first batch norm of a block is of that kind.
    A value that something else reads too stays, and so does its batch norm.
    """
    known, names = shapes(graph), graph.names()
    merged: list[MergedNorm] = []
    while merges := _one_round(graph, known, names):
        merged += [MergedNorm(merge.norm.path, merge.layer.path) for merge in merges]
        graph = _apply(graph, merges)
    return graph, tuple(merged)


@dataclass(frozen=True, slots=True)
class _Merge:
    """A layer that takes over a batch norm: `layer` is what it becomes, `norm` the node that goes."""

    layer: Node
    norm: Node
    weights: Mapping[str, Tensor]


def _one_round(graph: Graph, known: Shapes, names: Names) -> list[_Merge]:
    """Every batch norm that can be merged and touches no other merge of the same round, in the order of the graph."""
    makers, users = graph.by_name(), graph.users()
    merges: list[_Merge] = []
    touched: set[str] = set()
    for norm in graph.nodes:
        if norm.target is not aten.batch_norm.default or not _channels_are_features(norm, makers, users, known):
            continue
        merge = _into_layer_before(graph, norm, makers, users, names) or _into_layer_after(graph, norm, users, names)
        if merge is not None and not touched & {merge.layer.name, merge.norm.name}:
            merges.append(merge)
            touched.update({merge.layer.name, merge.norm.name})
    return merges


def _apply(graph: Graph, merges: list[_Merge]) -> Graph:
    layers = {merge.layer.name: merge.layer for merge in merges}
    weights = dict(graph.weights)
    renamed: dict[str, str] = {}
    for merge in merges:
        weights.update(merge.weights)
        source = merge.norm.args[0]
        assert isinstance(source, Ref)
        # of two norms in a row both may go in one round; nodes come in order, so the first one has its entry
        renamed[merge.norm.name] = renamed.get(source.name, source.name)
    gone = set(renamed)
    nodes = tuple(layers.get(node.name, node).renamed(renamed) for node in graph.nodes if node.name not in gone)
    output = renamed.get(graph.output, graph.output)
    return replace(graph, nodes=nodes, weights=weights, output=output).live()


def _into_layer_before(
    graph: Graph, norm: Node, makers: Mapping[str, Node], users: Mapping[str, list[Node]], names: Names
) -> _Merge | None:
    source = norm.args[0]
    layer = makers.get(source.name) if isinstance(source, Ref) else None
    if layer is None or layer.target not in _LAYERS or len(users[layer.name]) != 1 or layer.name == graph.output:
        return None
    parts = _weight_and_bias(graph, layer, users)
    if parts is None:
        return None
    weight, bias = parts
    scale, shift = (part.double() for part in scale_and_shift(graph, norm))
    merged = weight.double() * scale.view(-1, *[1] * (weight.dim() - 1))
    offset = shift if bias is None else bias.double() * scale + shift
    return _merge(layer, norm, names, merged, offset)


def _into_layer_after(graph: Graph, norm: Node, users: Mapping[str, list[Node]], names: Names) -> _Merge | None:
    readers = users.get(norm.name, [])
    if len(readers) != 1 or norm.name == graph.output or readers[0].target not in _LAYERS:
        return None
    layer = readers[0]
    parts = _weight_and_bias(graph, layer, users)
    if parts is None or layer.args[0] != Ref(norm.name) or not _sees_no_padding(layer, parts[0]):
        return None
    weight, bias = parts
    scale, shift = (part.double() for part in scale_and_shift(graph, norm))
    matrix = weight.double().flatten(1)
    merged = (matrix * scale).view(weight.shape)
    offset = matrix @ shift
    return _merge(layer, norm, names, merged, offset if bias is None else offset + bias.double())


def _channels_are_features(
    norm: Node, makers: Mapping[str, Node], users: Mapping[str, list[Node]], known: Shapes
) -> bool:
    """Whether axis 1, which a batch norm scales, is what the layers beside it sum over.

    A fully connected layer sums over the last axis, which is another one where there are more than two.
    """
    source = norm.args[0]
    maker = makers.get(source.name) if isinstance(source, Ref) else None
    beside = [*users.get(norm.name, []), *([] if maker is None else [maker])]
    return len(known[norm.name]) == 2 or all(node.target is not aten.linear.default for node in beside)


def _merge(layer: Node, norm: Node, names: Names, weight: Tensor, bias: Tensor) -> _Merge:
    """The merged layer, its tensors under names of their own."""
    weight_ref, bias_name = layer.args[1], names.new(f"{layer.name}.fused_bias", "_")
    assert isinstance(weight_ref, Ref)
    weight_name = names.new(f"{weight_ref.name.removesuffix('.fused')}.fused", "_")
    args: list[Argument] = list(layer.args)
    args[2:3] = [Ref(bias_name)]
    args[1] = Ref(weight_name)
    merged = replace(layer, args=tuple(args))
    return _Merge(merged, norm, {weight_name: weight.float(), bias_name: bias.float()})


def _weight_and_bias(graph: Graph, layer: Node, users: Mapping[str, list[Node]]) -> tuple[Tensor, Tensor | None] | None:
    """Constant tensors of a layer that alone reads them and that is not quantized, or None.

    A weight that is a literal, of which nothing is stored, stays one: all of what it became would be.
    """
    weight = layer.args[1]
    bias = layer.args[2] if len(layer.args) > 2 else None
    for argument in (weight, bias):
        if argument is None:
            continue
        if not isinstance(argument, Ref) or argument.name not in graph.weights or argument.name in graph.formats:
            return None
        if argument is weight and (len(users[argument.name]) != 1 or argument.name in graph.literals):
            return None
    assert isinstance(weight, Ref)
    return graph.weights[weight.name], graph.weights[bias.name] if isinstance(bias, Ref) else None


def _sees_no_padding(layer: Node, weight: Tensor) -> bool:
    """Whether every output reads only what the batch norm wrote: no padding, one position, one group."""
    if layer.target is aten.linear.default:
        return True
    padding = layer.args[4] if len(layer.args) > 4 else 0
    groups = layer.args[6] if len(layer.args) > 6 else 1
    unpadded = padding in (0, (0, 0), (0,))
    return unpadded and groups == 1 and all(side == 1 for side in weight.shape[2:])
