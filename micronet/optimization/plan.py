"""What is decided of a network: how wide everything is, and which weights of each layer stay."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from micronet.graph.grid import Grid
from micronet.graph.ir import Graph
from micronet.optimization.hard_swish import LEAST_PRODUCT, Gate, split_hard_swish
from micronet.optimization.rounding import Trade
from micronet.optimization.sites import Site, find_sites
from micronet.transformation.quantize import layer_outputs


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """Bits of a layer's weights, where (filters, terms) these may be other than zero, and what their rounding may trade
    for a lower score; the grid of what it reads, or bits of one of least squared error on what it then reads."""

    weight_bits: int
    inputs: int | Grid
    there: Tensor
    trade: Trade | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Choices by the name of a layer's node; of every other value, by name, its grid, or bits of one."""

    layers: Mapping[str, LayerChoice]
    values: Mapping[str, int | Grid]
    bias_bits: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A network in floating point, ready to be decided on.

    sites   its layers, by the name of their nodes
    gates   its hard swishes in steps
    values  names of what is computed and read by anything but a layer: each has a grid of its own. What a layer reads
            is put on a grid for that layer alone, so that a wide value may be read narrowly
    """

    graph: Graph
    sites: Mapping[str, Site]
    gates: tuple[Gate, ...]
    values: tuple[str, ...]

    def least(self, name: str) -> float:
        """What the value `name` is never below."""
        return LEAST_PRODUCT if any(gate.product == name for gate in self.gates) else -math.inf


def subject(graph: Graph) -> Subject:
    """`graph`, batch norms merged, with its hard swishes in steps. Raises SettingsError as `find_sites` does."""
    graph, gates = split_hard_swish(graph)
    sites, users = find_sites(graph), graph.users()
    inner = {name for gate in gates for name in (gate.sum, gate.clip)}
    values = [
        name
        for name in layer_outputs(graph)
        if name != graph.output and name not in inner and any(user.name not in sites for user in users.get(name, []))
    ]
    return Subject(graph, sites, gates, tuple(values))
