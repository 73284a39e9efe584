"""The layers whose weights are chosen, and the numbers that each of their filters multiplies."""

from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.counts import layer_names
from micronet.analysis.dot_products import DOT_PRODUCTS, LAYERS, factors
from micronet.analysis.shapes import shapes
from micronet.errors import SettingsError
from micronet.graph.ir import Graph, Node, Ref
from micronet.transformation.linear_layers import LinearLayer, read_layer

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class QuantizableLayer:
    """A layer by the name a score has for it, and how many outputs each filter makes for one image."""

    name: str
    linear: LinearLayer
    positions: int

    @property
    def rows(self) -> Tensor:
        """Weights (filters, terms), one row per filter."""
        return self.linear.weight.flatten(1)

    @property
    def groups(self) -> int:
        """Filters of a group read the same columns."""
        return self.linear.groups

    @property
    def channels(self) -> int:
        """The axis of what it reads and of what it makes that has one index per term of a filter, and per filter."""
        return -1 if self.linear.weight.dim() == 2 else 1

    def columns(self, values: Tensor) -> Tensor:
        """(groups, terms, n): what filters multiply, for every image and position of `values` (N, C, ...), of a
        fully connected layer (N, ..., C)."""
        layer = self.linear
        if layer.weight.dim() == 2:
            return values.reshape(-1, values.shape[-1]).t().unsqueeze(0)
        if layer.is_pointwise and layer.groups == 1:
            steps = [slice(None, None, stride) for stride in layer.stride]
            return values[(slice(None), slice(None), *steps)].transpose(0, 1).flatten(1).unsqueeze(0)
        patches = torch.nn.functional.pad(values, (layer.padding[1],) * 2 + (layer.padding[0],) * 2)
        for axis, size in enumerate(layer.weight.shape[2:]):
            patches = patches.unfold(2 + axis, (size - 1) * layer.dilation[axis] + 1, layer.stride[axis])
        patches = patches[..., :: layer.dilation[0], :: layer.dilation[1]]  # (N, C, height, width, *kernel), a view
        return patches.permute(1, 4, 5, 0, 2, 3).reshape(layer.groups, self.rows.shape[1], -1)

    def outputs(self, values: Tensor) -> Tensor:
        """(groups, filters per group, n): the layer's outputs (N, filters, ...), of a fully connected
        one (N, ..., filters), in the order of `columns`."""
        if self.linear.weight.dim() == 2:
            return values.reshape(-1, values.shape[-1]).t().unsqueeze(0)
        return values.transpose(0, 1).reshape(self.groups, len(self.linear.weight) // self.groups, -1)


def quantizable_layers(graph: Graph) -> dict[str, QuantizableLayer]:
    """Every dot product of `graph`, by the name of its node.

    Raises SettingsError, which says why, for one whose weights are not its own, are quantized, or are not laid out as
    a layer's.
    """
    names, known, users = layer_names(graph), shapes(graph), graph.users()
    found: dict[str, QuantizableLayer] = {}
    for node in graph.nodes:
        if node.target not in DOT_PRODUCTS:
            continue
        layer, name = read_layer(graph, node, users), names.get(node.name, node.name)
        if layer is None or layer.weight.dim() not in (2, 4):
            raise SettingsError(
                "optimize chooses the weights of 2-d convolutions and linear layers that are in floating point and "
                f"their own, and {name} {_otherwise(graph, node)}."
            )
        found[node.name] = QuantizableLayer(name, layer, known.elements(node.name) // len(layer.weight))
    return found


def _otherwise(graph: Graph, node: Node) -> str:
    """What a dot product is or has that no layer is or has, and what would be right."""
    if node.target is aten.conv1d.default:
        return "is a convolution in one dimension; write it as one in two, of kernels one high"
    if node.target not in LAYERS:
        if graph.weights.keys() & set(factors(node)):
            return "is a product with a matrix; write it as a linear layer"
        return "multiplies two computed values, as attention does; optimize has no choices for these"
    tensors = [argument.name for argument in node.args[1:3] if isinstance(argument, Ref)]
    return next(filter(None, (_not_its_own(graph, node, name) for name in tensors)), "is written as neither")


def _not_its_own(graph: Graph, node: Node, tensor: str) -> str | None:
    """What is wrong with a layer's weight or bias; None where nothing is."""
    if tensor not in graph.weights or tensor in graph.literals:
        return f"has weights ({tensor}) that are computed; store them as parameters"
    if tensor in graph.formats:
        return f"has weights ({tensor}) on a grid; start from the network before it was quantized"
    names = layer_names(graph)
    others = [names.get(user.name, user.name) for user in graph.users()[tensor] if user.name != node.name]
    return f"shares {tensor} with {others[0]}; give each its own" if others else None
