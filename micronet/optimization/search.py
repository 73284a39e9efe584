"""One option for each part of a network: the least loss at a price, and the price that comes to a wanted loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

_STEPS = 60
_RANGE = (1e-6, 1e9)
"""Of multipliers, loss per score: at one end only loss counts, at the other only score."""


class Priced(Protocol):
    """Something that moves the answers, by a squared change of the logits, and costs part of the score."""

    @property
    def loss(self) -> float: ...  # noqa: D102

    @property
    def cost(self) -> float: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Total:
    """Sums over all parts."""

    loss: float
    cost: float


Part = TypeVar("Part", bound=Priced)


def choose(parts: Mapping[str, Sequence[Part]], multiplier: float) -> dict[str, Part]:
    """The options of least loss + multiplier * cost: no others of that loss together cost less (Everett 1963)."""
    return {
        name: min(options, key=lambda one: (one.loss + multiplier * one.cost, one.cost))
        for name, options in parts.items()
    }


def total(chosen: Mapping[str, Part]) -> Total:
    """What they come to together, taking losses for independent."""
    return Total(sum(one.loss for one in chosen.values()), sum(one.cost for one in chosen.values()))


def choose_for_loss(parts: Mapping[str, Sequence[Part]], loss: float) -> dict[str, Part]:
    """The cheapest of these choices whose losses add up to at most `loss`; where none do, that of least loss."""
    low, high = _RANGE
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if total(choose(parts, middle)).loss <= loss else (low, middle)
    return choose(parts, low)
