"""Channels that carry a constant, or that nobody reads, taken out of a network."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micronet.analysis.channel_groups import ChannelGroup, channel_groups
from micronet.analysis.constant_channels import OF_TWO, RESHAPING, constant_channels
from micronet.analysis.shapes import Shapes, shapes
from micronet.graph.ir import Argument, Graph, Node, Ref
from micronet.graph.names import Names
from micronet.transformation.linear_layers import Cost, LinearLayer, put_back, read_layer

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class RemovedChannels:
    """Filters that a layer lost: those whose channel was a constant, and those whose channel nobody read."""

    layer: str
    constant: int
    unread: int


def remove_channels(graph: Graph) -> tuple[Graph, tuple[RemovedChannels, ...]]:
    """The same function to rounding, without channels that carry a constant or that nobody reads, and what went.

    Where every layer that reads channel c finds the constant v there, or has no weight for it but zeros,

        sum_i W[:, i] x_i + b = sum_(i != c) W[:, i] x_i + (b + sum_uv W[:, c, u, v] v)

    and the channel goes, from all values it is part of and from every filter that makes it. A layer that pads reads
    zeros at the border, so there only v = 0 is exact. Groups of values with an end that is not a layer stay as they
    are (a residual sum that is padded with channels, a join of channels), and one channel always stays. A layer that
    had no bias gets one only where that costs nothing on the whole. Repeated until nothing changes: a filter that lost
    all its inputs makes a constant too.
    """
    removed: list[RemovedChannels] = []
    while (step := _one_round(graph)) is not None:
        graph, more = step
        removed += more
    return graph, summed(removed)


def summed(removed: Iterable[RemovedChannels]) -> tuple[RemovedChannels, ...]:
    """One for each layer."""
    counts: dict[str, tuple[int, int]] = {}
    for one in removed:
        constant, unread = counts.get(one.layer, (0, 0))
        counts[one.layer] = constant + one.constant, unread + one.unread
    return tuple(RemovedChannels(layer, *both) for layer, both in counts.items())


def _one_round(graph: Graph) -> tuple[Graph, list[RemovedChannels]] | None:
    """Every group that loses channels and shares no layer with another of the same round; None where none does."""
    users, known, names = graph.users(), shapes(graph), graph.names()
    layers = {node.name: layer for node in graph.nodes if (layer := read_layer(graph, node, users)) is not None}
    depthwise = frozenset(name for name, layer in layers.items() if layer.is_depthwise)
    dense = frozenset(name for name, layer in layers.items() if layer.groups == 1 and name not in depthwise)
    constants = constant_channels(graph, known)
    touched: set[str] = set()
    removed: list[RemovedChannels] = []
    for group in channel_groups(graph, dense, depthwise):
        beside = {*group.producers, *group.consumers, *group.inner}
        if touched & beside:
            continue
        cut = _cut(group, layers, constants, known)
        if cut is None:
            continue
        touched |= beside
        removed += cut.told(layers)
        graph = cut.apply(graph, names)
    return (graph, removed) if removed else None


@dataclass(frozen=True, slots=True)
class _Cut:
    """Channels of a group that go.

    keep              the channels that stay
    layers            what its layers become, by name
    axes              how many axes each of its values has
    constant, unread  how many channels go, for which reason
    """

    group: ChannelGroup
    keep: Tensor
    layers: Mapping[str, LinearLayer]
    axes: Mapping[str, int]
    constant: int
    unread: int

    def told(self, layers: Mapping[str, LinearLayer]) -> list[RemovedChannels]:
        names = [*self.group.producers, *(name for name in self.group.inner if name in layers)]
        return [RemovedChannels(layers[name].node.path, self.constant, self.unread) for name in names]

    def apply(self, graph: Graph, names: Names) -> Graph:
        changed: dict[str, Node] = {}
        weights, literals = dict(graph.weights), set(graph.literals)
        nodes = graph.by_name()
        for name in self.group.inner:
            node = nodes[name]
            if node.target in RESHAPING and node.target is not aten.flatten.using_ints:
                changed[name] = self._reshaped(node)
                continue
            cut_args: list[Argument] = list(node.args)
            for index, argument in enumerate(node.args):
                if name in self.layers or not isinstance(argument, Ref) or argument.name not in graph.weights:
                    continue
                cut = self._tensor(graph.weights[argument.name], node, name)
                if cut is None:
                    continue
                new = names.new(f"{argument.name.removesuffix('.cut')}.cut", "_")
                weights[new] = cut
                if argument.name in graph.literals:
                    literals.add(new)
                cut_args[index] = Ref(new)
            changed[name] = replace(node, args=tuple(cut_args))
        smaller = tuple(changed.get(node.name, node) for node in graph.nodes)
        graph = replace(graph, nodes=smaller, weights=weights, literals=frozenset(literals))
        return put_back(graph, self.layers, names)

    def _reshaped(self, node: Node) -> Node:
        sizes = node.args[1]
        assert isinstance(sizes, tuple)
        if sizes[1] == -1:
            return node
        places = len(self.keep) * self.group.features[node.name]
        return replace(node, args=(node.args[0], (sizes[0], places, *sizes[2:]), *node.args[2:]))

    def _tensor(self, weight: Tensor, node: Node, name: str) -> Tensor | None:
        """What stays of a batch norm's tensor (places,), or of one that is broadcast; None where all of it does."""
        places = _places(self.keep, self.group.features[name])
        if node.target not in OF_TWO:
            return weight[places]
        axis = weight.dim() - self.axes[node.name] + 1
        return None if axis < 0 or weight.shape[axis] == 1 else weight.index_select(axis, places)


def _cut(
    group: ChannelGroup, layers: Mapping[str, LinearLayer], constants: Mapping[str, Tensor], known: Shapes
) -> _Cut | None:
    """What may go from a group, or None where nothing may, or where it would not make the network cheaper."""
    readings = [_reading(group, layers[name], constants) for name in group.consumers]
    if not readings:
        return None
    may_go = torch.stack([reading.may_go for reading in readings]).all(0)
    unread = torch.stack([reading.unread for reading in readings]).all(0)
    nothing_to_fold = torch.stack([reading.nothing_to_fold for reading in readings]).all(0)
    for gone in (may_go, may_go & nothing_to_fold):
        chosen = gone.clone()
        if bool(chosen.all()):
            chosen[0] = False
        if not bool(chosen.any()):
            continue
        keep = (~chosen).nonzero().flatten()
        cut = _smaller(group, layers, readings, keep)
        if _cost(cut, known).is_below(_cost({name: layers[name] for name in cut}, known)):
            counts = int((chosen & ~unread).sum()), int((chosen & unread).sum())
            axes = {name: len(known[name]) for name in group.features}
            return _Cut(group, keep, cut, axes, *counts)
    return None


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a consumer finds in a group's channels: bool (channels,), and `values`, float64 (inputs,), 0 if unread."""

    layer: LinearLayer
    values: Tensor
    may_go: Tensor
    unread: Tensor
    nothing_to_fold: Tensor

    def without(self, keep: Tensor, features: int) -> LinearLayer:
        """The layer when only the channels `keep` are left, the others' constants in its bias."""
        weight, bias = self.layer.weight, self.layer.bias
        places = _places(keep, features)
        gone = torch.ones(weight.shape[1], dtype=torch.bool)
        gone[places] = False
        values = torch.where(gone, self.values.nan_to_num(), 0.0)
        if bool(values.any()):
            offset = weight.double().flatten(2).sum(2) if weight.dim() > 2 else weight.double()
            bias = (offset @ values + (0 if bias is None else bias.double())).float()
        return replace(self.layer, weight=weight[:, places], bias=bias)


def _reading(group: ChannelGroup, layer: LinearLayer, constants: Mapping[str, Tensor]) -> _Reading:
    features, inputs = group.features[layer.source], layer.weight.shape[1]
    found = constants.get(layer.source, torch.full((inputs,), torch.nan, dtype=torch.float64))
    unread = ~layer.weight.transpose(0, 1).flatten(1).any(1)
    values = torch.where(unread, 0.0, found)
    known = values.isfinite() & ((values == 0) | (not any(layer.padding)))
    by_channel = [mask.view(group.channels, features).all(1) for mask in (known, unread, values == 0)]
    return _Reading(layer, values, *by_channel)


def _smaller(
    group: ChannelGroup, layers: Mapping[str, LinearLayer], readings: list[_Reading], keep: Tensor
) -> dict[str, LinearLayer]:
    """The group's layers with the channels `keep`, and no others."""
    smaller = {
        reading.layer.node.name: reading.without(keep, group.features[reading.layer.source]) for reading in readings
    }
    for name in (*group.producers, *(inner for inner in group.inner if inner in layers)):
        layer = smaller.get(name, layers[name])
        bias = None if layer.bias is None else layer.bias[keep]
        groups = len(keep) if layer.groups > 1 else 1
        smaller[name] = replace(layer, weight=layer.weight[keep], bias=bias, groups=groups)
    return smaller


def _cost(layers: Mapping[str, LinearLayer], known: Shapes) -> Cost:
    prices = Cost(0, 0, 0, 0)
    for name, layer in layers.items():
        positions = known.elements(name) // known[name][1]
        prices += layer.cost(positions)
    return prices


def _places(keep: Tensor, features: int) -> Tensor:
    """Places on axis 1 of channels that take `features` places each."""
    return (keep.view(-1, 1) * features + torch.arange(features)).flatten()
