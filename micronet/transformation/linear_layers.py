"""Convolutions and fully connected layers as values: taken out of a graph, changed, put back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micronet.analysis.dot_products import LAYERS
from micronet.analysis.shapes import first_ref
from micronet.graph.geometry import geometry
from micronet.graph.ir import Argument, Graph, Node, Ref
from micronet.graph.names import Names

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class LinearLayer:
    """One layer whose weights are its own, in floating point.

    weight                      (filters, inputs per group, *kernel); of a fully connected layer (filters, inputs)
    bias                        (filters,), or None
    stride, padding, dilation   one number per axis of the kernel
    """

    node: Node
    weight: Tensor
    bias: Tensor | None
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1

    @property
    def source(self) -> str:
        """Name of the value it reads."""
        return first_ref(self.node)

    @property
    def is_pointwise(self) -> bool:
        """Whether each output reads one position, and no padding."""
        return all(side == 1 for side in self.weight.shape[2:]) and not any(self.padding)

    @property
    def is_depthwise(self) -> bool:
        """Whether each channel has one filter, for itself alone."""
        return self.weight.dim() > 2 and self.weight.shape[1] == 1 and self.groups == len(self.weight)

    def cost(self, positions: int) -> "Cost":
        """What it stores and computes where each filter makes `positions` outputs (SCORING section 3)."""
        per_filter = self.weight.flatten(1).count_nonzero(1)
        biased = 0 if self.bias is None else 1
        stored = [self.weight] if self.bias is None else [self.weight, self.bias]
        return Cost(
            sum(tensor.numel() for tensor in stored),
            sum(int(tensor.count_nonzero()) for tensor in stored),
            positions * int(per_filter.sum()),
            positions * int((per_filter + biased - 1).clamp(min=0).sum()),
        )

    def written(self, names: Names) -> tuple[Node, dict[str, Tensor]]:
        """Its node, and its tensors in float32 under names of their own."""
        old = self.node.args[1]
        assert isinstance(old, Ref)
        name = names.new(f"{old.name.removesuffix('.fused')}.fused", "_")
        tensors = {name: self.weight.float().contiguous()}
        bias: Argument = None
        if self.bias is not None:
            bias_name = names.new(f"{self.node.name}.fused_bias", "_")
            tensors[bias_name] = self.bias.float().contiguous()
            bias = Ref(bias_name)
        args: tuple[Argument, ...] = (self.node.args[0], Ref(name), bias)
        if self.weight.dim() > 2:
            args = (*args, self.stride, self.padding, self.dilation, self.groups)
        return replace(self.node, args=args), tensors


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters, those that are not zero, multiplications, additions."""

    elements: int
    nonzero: int
    multiplications: int
    additions: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(one + two for one, two in zip(self._parts(), other._parts(), strict=True)))

    def is_below(self, other: "Cost") -> bool:
        """Whether nothing of it is more, and something less: it is cheaper whatever weighs what."""
        return self.is_at_most(other) and self != other

    def is_at_most(self, other: "Cost") -> bool:
        """Whether nothing of it is more."""
        return all(one <= two for one, two in zip(self._parts(), other._parts(), strict=True))

    def _parts(self) -> tuple[int, int, int, int]:
        return self.elements, self.nonzero, self.multiplications, self.additions


def read_layer(graph: Graph, node: Node, users: Mapping[str, list[Node]]) -> LinearLayer | None:
    """`node` as a layer; None where it is none, or its tensors are computed, quantized, or read by others too.

    A literal, of which nothing is stored, is no layer's own either: all of what it became would be.
    """
    layer = read_weighted(graph, node, users)
    if layer is None or not (layer.bias is None or _is_own(graph, node.args[2], users)):
        return None
    return layer


def read_weighted(graph: Graph, node: Node, users: Mapping[str, list[Node]]) -> LinearLayer | None:
    """As `read_layer`, but that the bias may be a literal, and others may read it too."""
    if node.target not in LAYERS or node.kwargs or not isinstance(node.args[0], Ref):
        return None
    weight, bias = graph.weight(node.args[1]), graph.weight(node.argument(2))
    if weight is None or weight.dim() < 2 or not _is_own(graph, node.args[1], users):
        return None
    if not (node.argument(2) is None or _is_on_no_grid(graph, node.argument(2))):
        return None
    if node.target is aten.linear.default:
        return LinearLayer(node, weight, bias)
    how = geometry(node, weight.dim() - 2)
    return LinearLayer(node, weight, bias, how.stride, how.padding, how.dilation, how.groups)


def put_back(graph: Graph, layers: Mapping[str, LinearLayer], names: Names) -> Graph:
    """`graph` with these layers in place of the nodes of their names."""
    weights, changed = dict(graph.weights), {}
    for name, layer in layers.items():
        changed[name], tensors = layer.written(names)
        weights.update(tensors)
    return replace(graph, nodes=tuple(changed.get(node.name, node) for node in graph.nodes), weights=weights).live()


def _is_on_no_grid(graph: Graph, argument: Argument) -> bool:
    """Whether it is a constant tensor that is not quantized."""
    return isinstance(argument, Ref) and argument.name in graph.weights and argument.name not in graph.formats


def _is_own(graph: Graph, argument: Argument, users: Mapping[str, list[Node]]) -> bool:
    """Whether it is one, too, that only one node reads, and that is no literal."""
    own = isinstance(argument, Ref) and argument.name not in graph.literals and len(users[argument.name]) == 1
    return own and _is_on_no_grid(graph, argument)
