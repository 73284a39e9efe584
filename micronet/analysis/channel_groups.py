"""Values whose channels stand and fall together, and the layers at either end of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from micronet.analysis.constant_channels import FUNCTIONS, OF_TWO, RESHAPING, SAME, over_positions, reshaped_features
from micronet.analysis.shapes import first_ref, shapes
from micronet.graph.ir import Argument, Graph, Node, Ref, Target

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Channel c of one of these values is read together with channel c of the others, or not at all.

    channels   how many there are
    features   by value, how many places of axis 1 a channel takes (more than one once it is flattened)
    producers  names of the layers whose filters make the channels
    consumers  names of the layers that sum over them
    inner      names of the nodes in between, which work channel by channel
    """

    channels: int
    features: Mapping[str, int]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    inner: tuple[str, ...]


def channel_groups(graph: Graph, layers: frozenset[str], depthwise: frozenset[str]) -> list[ChannelGroup]:
    """The groups that have layers at every end, in the order of the graph.

    `layers` are nodes that sum over all channels of what they read, and `depthwise` those with one filter for each,
    whose tensors may be cut. Where anything else makes or reads a value (the images, the logits, a join of channels, a
    padding of them), its group is not among those given: not all that depends on the channel would be known.
    """
    return _Grouping(graph, layers, depthwise).groups()


class _Grouping:
    def __init__(self, graph: Graph, layers: frozenset[str], depthwise: frozenset[str]) -> None:
        self._graph, self._layers, self._depthwise = graph, layers, depthwise
        self._shapes = shapes(graph, batch=2)  # a size of 2 tells the axis of the batch from others
        self._users = graph.users()
        self._parent: dict[str, str] = {}
        self._features: dict[str, int] = {}
        self._open: set[str] = set()
        """Values with ends that are not known: no channel of theirs may go."""

    def groups(self) -> list[ChannelGroup]:
        self._open.add(self._graph.input)
        for node in self._graph.nodes:
            self._place(node)
        self._open.add(self._graph.output)
        values: dict[str, list[str]] = {}
        for name in self._parent:
            values.setdefault(self._root(name), []).append(name)
        known = {root for root in values if not self._open.intersection(values[root])}
        return [self._group(values[root]) for root in values if root in known]

    def _group(self, values: list[str]) -> ChannelGroup:
        nodes, inside = self._graph.by_name(), set(values)
        made_by_layers = tuple(name for name in values if name in self._layers)
        consumers = tuple(
            node.name for node in self._graph.nodes if node.name in self._layers and first_ref(node) in inside
        )
        inner = tuple(name for name in nodes if name in inside and name not in self._layers)
        features = {name: self._features[name] for name in values}
        channels = self._shapes[values[0]][1] // features[values[0]]
        return ChannelGroup(channels, features, made_by_layers, consumers, inner)

    def _place(self, node: Node) -> None:
        """Put the node's value in a group, that of what it reads or a new one."""
        if node.target is aten.sym_size.int and node.args[1] == 0:
            return
        if node.name in self._layers:
            self._begin(node.name)
            self._needs_axes(node)
        elif not (self._is_by_channel(node) and self._joined(node)):
            self._open.update(ref.name for ref in node.refs())
            self._open.add(node.name)

    def _begin(self, value: str) -> None:
        self._parent[value], self._features[value] = value, 1

    def _needs_axes(self, node: Node) -> None:
        """A fully connected layer sums over the last axis, which has to be the second, that of channels."""
        weight = node.args[1]
        assert isinstance(weight, Ref)
        if len(self._shapes[node.name]) != len(self._shapes[weight.name]):
            self._open.update((node.name, *(ref.name for ref in node.refs())))

    def _is_by_channel(self, node: Node) -> bool:
        if node.name in self._depthwise:
            return True
        rule = _BY_CHANNEL.get(node.target)
        return rule is not None and rule(self, node) and len(self._shapes[node.name]) > 1

    def _joined(self, node: Node) -> bool:
        """Put what the node reads and what it makes together; whether that was possible."""
        read = [ref.name for ref in node.refs() if ref.name not in self._graph.weights and not self._is_size(ref.name)]
        if not read or any(name not in self._parent for name in read):
            return False
        features = self._features_of_result(node, read[0])
        places = {self._shapes[name][1] for name in read}
        if features is None or len(places) != 1 or len({self._features[name] for name in read}) != 1:
            return False
        if node.target not in RESHAPING and places != {self._shapes[node.name][1]}:
            return False
        self._begin(node.name)
        self._features[node.name] = features
        for name in read:
            self._parent[self._root(name)] = self._root(node.name)
        return True

    def _features_of_result(self, node: Node, source: str) -> int | None:
        if node.target not in RESHAPING:
            return self._features[source]
        more = reshaped_features(self._shapes[source], self._shapes[node.name])
        return None if more is None else more * self._features[source]

    def _is_size(self, name: str) -> bool:
        return name not in self._shapes.of

    def _root(self, value: str) -> str:
        while self._parent[value] != value:
            value = self._parent[value]
        return value

    def _own(self, argument: Argument) -> bool:
        """Whether an operand is a tensor that may be cut: nobody else's, or a literal, and not on a grid."""
        if not isinstance(argument, Ref):
            return True
        if argument.name not in self._graph.weights or argument.name in self._graph.formats:
            return False
        return argument.name in self._graph.literals or len(self._users[argument.name]) == 1

    def one_value(self, node: Node) -> bool:
        """Reads one value and numbers."""
        return sum(1 for _ in node.refs()) == 1

    def norm(self, node: Node) -> bool:
        """Its tensors are its own."""
        return all(self._own(argument) for argument in node.args[1:5])

    def two(self, node: Node) -> bool:
        """Values of as many axes as the result, weights of its own, numbers."""
        axes = len(self._shapes[node.name])
        operands = [argument for argument in node.args[:2] if isinstance(argument, Ref)]
        weights = [operand for operand in operands if operand.name in self._graph.weights]
        values = [operand for operand in operands if operand.name not in self._graph.weights]
        return all(self._own(w) and self._graph.weights[w.name].dim() <= axes for w in weights) and all(
            len(self._shapes.of.get(value.name, ())) == axes for value in values
        )

    def reduction(self, node: Node) -> bool:
        """Over positions only."""
        return self.one_value(node) and over_positions(node, len(self._shapes[node.refs()[0].name]))

    def reshaping(self, node: Node) -> bool:
        """To two axes, or to four with one position, the size of the second a number or left open."""
        if node.target is aten.flatten.using_ints:
            return self.one_value(node)
        sizes = node.args[1]
        return isinstance(sizes, tuple) and len(sizes) in (2, 4) and isinstance(sizes[1], int)


_BY_CHANNEL: Mapping[Target, Callable[[_Grouping, Node], bool]] = {
    **dict.fromkeys(FUNCTIONS | SAME | {aten.avg_pool2d.default}, _Grouping.one_value),
    aten.batch_norm.default: _Grouping.norm,
    **dict.fromkeys(OF_TWO, _Grouping.two),
    aten.mean.dim: _Grouping.reduction,
    **dict.fromkeys(RESHAPING, _Grouping.reshaping),
}
