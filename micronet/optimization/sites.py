"""The layers whose weights are chosen, and the numbers that each of their filters multiplies."""

from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.counts import layer_names
from micronet.analysis.dot_products import DOT_PRODUCTS
from micronet.analysis.shapes import shapes
from micronet.errors import SettingsError
from micronet.graph.ir import Graph
from micronet.transformation.linear_layers import LinearLayer, read_layer

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Site:
    """A layer by the name a score has for it, and how many outputs each filter makes for one image."""

    name: str
    layer: LinearLayer
    positions: int

    @property
    def rows(self) -> Tensor:
        """Weights (filters, terms), one row per filter."""
        return self.layer.weight.flatten(1)

    @property
    def groups(self) -> int:
        """Filters of a group read the same columns."""
        return self.layer.groups

    @property
    def channels(self) -> int:
        """The axis of what it reads and of what it makes that has one index per term of a filter, and per filter."""
        return -1 if self.layer.weight.dim() == 2 else 1

    def columns(self, values: Tensor) -> Tensor:
        """(groups, terms, n): what filters multiply, for every image and position of `values` (N, C, ...), of a
        fully connected layer (N, ..., C)."""
        layer = self.layer
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
        if self.layer.weight.dim() == 2:
            return values.reshape(-1, values.shape[-1]).t().unsqueeze(0)
        return values.transpose(0, 1).reshape(self.groups, len(self.layer.weight) // self.groups, -1)


def find_sites(graph: Graph) -> dict[str, Site]:
    """Every dot product of `graph`, by the name of its node.

    Raises SettingsError for one whose weights are not its own, are quantized, or are not laid out as a layer's.
    """
    names, known, users = layer_names(graph), shapes(graph), graph.users()
    found: dict[str, Site] = {}
    for node in graph.nodes:
        if node.target not in DOT_PRODUCTS:
            continue
        layer, name = read_layer(graph, node, users), names.get(node.name, node.name)
        if layer is None or layer.weight.dim() not in (2, 4):
            raise SettingsError(
                "optimize chooses the weights of convolutions and linear layers that are in floating point and their "
                f"own, and {name} is none. Write it as one, or start from the network before it was quantized."
            )
        found[node.name] = Site(name, layer, known.elements(node.name) // len(layer.weight))
    return found
