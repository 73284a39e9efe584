"""What is decided of a network: how wide everything is, and which weights of each layer stay."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from micronet.graph.grid import Grid
from micronet.optimization.lagrangian import Total
from micronet.optimization.objective import ScoreTradeoff


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """Bits of a layer's weights, where (filters, terms) these may be other than zero, and what their rounding may trade
    for a lower score; the grid of what it reads, or bits of one of least squared error on what it then reads."""

    weight_bits: int
    inputs: int | Grid
    there: Tensor
    tradeoff: ScoreTradeoff | None = None


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """Choices by the name of a layer's node; of every other value, by name, its grid, or bits of one."""

    layers: Mapping[str, LayerChoice]
    values: Mapping[str, int | Grid]
    bias_bits: int


@dataclass(frozen=True, slots=True)
class NamedPlan:
    """A plan, a name that only this plan has, what it is in words, and what it is foreseen to come to."""

    name: str
    description: str
    plan: NetworkPlan
    foreseen: Total


def short_name(text: str) -> str:
    """Of no other text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
