"""One option for each part of a network: least loss plus a multiplier of the score, which is found for a given loss."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

_STEPS = 60
_RANGE = (1e-6, 1e9)
"""Of multipliers, which are loss per score: at one end only loss counts, at the other only score."""


class AnyOption(Protocol):
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


Part = TypeVar("Part", bound=AnyOption)


def choose(parts: Mapping[str, Sequence[Part]], multiplier: float) -> dict[str, Part]:
    """The options of least loss + multiplier * cost: no others of that loss together cost less (Everett 1963)."""
    return {name: _best(options, multiplier) for name, options in parts.items()}


def total(chosen: Iterable[AnyOption]) -> Total:
    """What they come to together, taking losses for independent."""
    taken = list(chosen)
    return Total(sum(one.loss for one in taken), sum(one.cost for one in taken))


def multiplier_for_loss(parts: Iterable[Sequence[AnyOption]], loss: float) -> float:
    """The highest multiplier found at which the losses of what is chosen add up to at most `loss`; the least there is
    where none do."""
    found = list(parts)
    low, high = _RANGE
    for _ in range(_STEPS):
        middle = (low * high) ** 0.5
        keeps = total(_best(options, middle) for options in found).loss <= loss
        low, high = (middle, high) if keeps else (low, middle)
    return low


def _best(options: Sequence[Part], multiplier: float) -> Part:
    return min(options, key=lambda one: (one.loss + multiplier * one.cost, one.cost))
