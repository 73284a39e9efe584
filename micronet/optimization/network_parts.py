"""A network in floating point, taken apart into what is decided on: layers, hard swishes in steps, other values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from micronet.graph.ir import Graph
from micronet.optimization.hard_swish import LEAST_PRODUCT, SplitHardSwish, split_hard_swish
from micronet.optimization.quantizable_layers import QuantizableLayer, quantizable_layers
from micronet.transformation.quantization import layer_outputs


@dataclass(frozen=True, slots=True)
class NetworkParts:
    """A network in floating point, ready to be decided on.

    layers  by the name of their nodes
    gates   its hard swishes in steps
    values  names of what is computed and read by anything but a layer: each has a grid of its own. What a layer reads
            is put on a grid for that layer alone, so that a wide value may be read narrowly
    """

    graph: Graph
    layers: Mapping[str, QuantizableLayer]
    gates: tuple[SplitHardSwish, ...]
    values: tuple[str, ...]

    def least(self, name: str) -> float:
        """What the value `name` is never below."""
        return LEAST_PRODUCT if any(gate.product == name for gate in self.gates) else -math.inf


def network_parts(graph: Graph) -> NetworkParts:
    """`graph`, batch norms merged, with its hard swishes in steps.

    Raises SettingsError as `quantizable_layers` does.
    """
    graph, gates = split_hard_swish(graph)
    layers, users = quantizable_layers(graph), graph.users()
    inner = {name for gate in gates for name in (gate.sum, gate.clip)}
    values = [
        name
        for name in layer_outputs(graph)
        if name != graph.output and name not in inner and any(user.name not in layers for user in users.get(name, []))
    ]
    return NetworkParts(graph, layers, gates, tuple(values))


def tensor_in(values: Mapping[str, object], name: str) -> Tensor:
    """The value `name` of a node that makes one tensor."""
    value = values[name]
    assert isinstance(value, Tensor)
    return value
