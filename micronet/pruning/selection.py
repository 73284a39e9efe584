"""Which directions go: those that save most for the loss they cost, of all layers together."""

import heapq
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micronet.errors import NumericalError

Side = Literal["inputs", "outputs"]
SIDES: tuple[Side, Side] = ("inputs", "outputs")


class Saving(Protocol):
    """What removing directions of a block saves in all; 0 where they do not pay."""

    def saved(self, inputs: int, outputs: int) -> int:
        """Of so many input and output directions."""
        ...

    def along(self, side: Side, other: int, up_to: int) -> NDArray[np.int64]:
        """(up_to + 1,): `saved` of 0, 1, ... and `up_to` directions of a side, with `other` of the other side gone."""
        ...


@dataclass(frozen=True, slots=True)
class Direction:
    """Direction `index` of one side of a block's core, and the loss that removing it alone costs."""

    block: str
    side: Side
    index: int
    saliency: float


def share(saliencies: Mapping[str, tuple[Tensor, Tensor]], ratio: float) -> int:
    """How many directions the share `ratio` is, of inputs and outputs of every block together; one at least."""
    return max(1, math.floor(ratio * sum(len(values) for both in saliencies.values() for values in both)))


def allowed(
    saliencies: Mapping[str, tuple[Tensor, Tensor]], ratio: float, limit: float, last: Collection[str] = ()
) -> int:
    """How many directions a round may remove, whatever they save: the share `ratio`, less what is held back."""
    return min(share(saliencies, ratio), sum(most for *_, most in _sides(saliencies, limit, last)))


def _sides(
    saliencies: Mapping[str, tuple[Tensor, Tensor]], limit: float, last: Collection[str]
) -> Iterator[tuple[str, Side, Tensor, int]]:
    """Both sides of each block, and how many of their directions may go.

    At most the share `limit`, and one stays; of what the `last` blocks give, the answers, all.
    """
    for block, both in saliencies.items():
        for side, values in zip(SIDES, both, strict=True):
            stays = side == "outputs" and block in last
            yield block, side, values, 0 if stays else min(len(values) - 1, math.floor(limit * len(values)))


def selected(
    saliencies: Mapping[str, tuple[Tensor, Tensor]],
    savings: Mapping[str, Saving],
    ratio: float,
    limit: float,
    last: Collection[str] = (),
) -> list[Direction]:
    """At most the share `ratio` of all directions, of those that save something, in the order in which they go.

    Of one side of a block at most the share `limit` goes, and one direction stays; of the outputs of the `last` blocks,
    which give the answers, all stay: to a network that has learned its images they hardly matter by its Fisher
    information, and a few directions left of ten classes cost most of what it knows. Within a side the least salient go
    first; of all sides, always that whose next directions cost least loss for what they save, of equals the first of
    the network. The first of a side go together, as many as that is least for, or not at all: few alone would leave a
    layer, with a rotation beside it, at a higher cost. All of them together cost no more loss than the least salient
    ones of the same share would, whatever these save. Saliencies add up as if directions did not share weights: those
    that two removed ones have in common count twice, which errs on the side of keeping.

    Departures: Wang et al. remove the least salient share of all directions, whatever that costs and also where it
    makes no layer cheaper. Here directions are ranked by loss for what they save and not by loss alone; the ones that
    save nothing stay; and the loss of a round is bounded, so that fewer than the share may go. What grows back is no
    part of that paper either: see `coming_back`. That answers stay is as in the report's network, whose last layer lost
    inputs alone; the authors' own program leaves that layer as it is.

    Raises NumericalError where saliencies tell nothing: all zero, or no numbers.
    """
    values = [values for both in saliencies.values() for values in both]
    if not all(bool(one.isfinite().all()) for one in values):
        raise NumericalError("the Fisher information is infinite or NaN. Check the weights, and normalization.")
    if values and not any(bool(one.any()) for one in values):
        raise NumericalError(
            "the Fisher information is zero everywhere: of these images the network is certain to the last bit, so "
            "nothing says which directions matter. With smaller weights in its last layer it would not be (weight "
            "decay and label_smoothing see to that); else check normalization."
        )
    return _Choice(saliencies, savings, limit, last).made(allowed(saliencies, ratio, limit, last))


def coming_back(gone: list[Direction], savings: Mapping[str, Saving], most: int) -> list[Direction]:
    """The most salient of those that are gone, at most so many, without which their blocks still pay.

    A departure from annealing as the report has it: what would make a layer cost what it did stays away.
    """
    left = Counter((direction.block, direction.side) for direction in gone)
    back: list[Direction] = []
    for direction in sorted(gone, key=lambda direction: -direction.saliency):
        if len(back) >= most:
            break
        left[direction.block, direction.side] -= 1
        if not savings[direction.block].saved(*(left[direction.block, side] for side in SIDES)):
            left[direction.block, direction.side] += 1
        else:
            back.append(direction)
    return back


@dataclass(slots=True)
class _Candidates:
    """Directions of one side of a block that may go, the least salient first, and how many of them are gone."""

    block: str
    side: Side
    ranked: list[tuple[float, int]]
    gone: int = 0
    saved: tuple[int, NDArray[np.int64]] | None = None
    """With so many of the other side gone, what those of this side save."""
    losses: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.losses = np.array([saliency for saliency, _ in self.ranked])


class _Choice:
    """Directions chosen so far, and what could be next of each side of each block.

    What is next of a side is looked for again only when what it was before has come up as the best of all, or when its
    block lost directions of the other side and it had nothing. This is a heuristic: what a side saves depends on how
    many of the other are gone, mostly the less the more, but not always (64 -> 64 channels, 3x3: nine outputs do not
    pay where seven inputs are gone, and do where eight are), and then it is taken a little later than it might be.
    """

    def __init__(
        self,
        saliencies: Mapping[str, tuple[Tensor, Tensor]],
        savings: Mapping[str, Saving],
        limit: float,
        last: Collection[str],
    ) -> None:
        self._savings = savings
        self._sides: list[_Candidates] = []  # of a block the two are neighbours
        for block, side, values, most in _sides(saliencies, limit, last):
            ranked = sorted((saliency, index) for index, saliency in enumerate(values.tolist()))
            self._sides.append(_Candidates(block, side, ranked[:most]))

    def made(self, room: int) -> list[Direction]:
        """At most `room` of them, at no more loss than that of the `room` least salient."""
        least = sorted(saliency for one in self._sides for saliency, _ in one.ranked)[:room]
        left = math.fsum(least) * (1 + 1e-9)  # sums of the same numbers may differ by rounding
        chosen: list[Direction] = []
        queue = [(0.0, place) for place in range(len(self._sides))]
        waiting = set(range(len(self._sides)))
        while queue:
            bound, place = heapq.heappop(queue)
            waiting.remove(place)
            best = self._next(place, room - len(chosen), left)
            if best is None:
                continue
            worth, many = best
            if worth > bound:
                heapq.heappush(queue, (worth, place))
                waiting.add(place)
                continue
            taken = self._take(place, many)
            left -= math.fsum(direction.saliency for direction in taken)
            chosen += taken
            for side in {place, place ^ 1} - waiting:
                heapq.heappush(queue, (worth, side))
                waiting.add(side)
        return chosen

    def _next(self, place: int, room: int, left: float) -> tuple[float, int] | None:
        """Loss for what is saved, and how many directions, of what would go next; None where nothing can."""
        one, other = self._sides[place], self._sides[place ^ 1]
        losses = one.losses[one.gone : one.gone + room].cumsum()
        losses = losses[: losses.searchsorted(left, "right")]
        if not len(losses):
            return None
        if one.saved is None or one.saved[0] != other.gone:
            one.saved = other.gone, self._savings[one.block].along(one.side, other.gone, len(one.ranked))
        saved = one.saved[1][one.gone :]
        more = saved[1 : len(losses) + 1] - saved[0]
        (pay,) = (more > 0).nonzero()
        if not len(pay):
            return None
        worth = losses[pay] / more[pay]
        best = 0 if one.gone else int(worth.argmin())  # once some are gone, what follows the next saves no more for it
        return float(worth[best]), int(pay[best]) + 1

    def _take(self, place: int, many: int) -> list[Direction]:
        one = self._sides[place]
        going = one.ranked[one.gone : one.gone + many]
        one.gone += many
        return [Direction(one.block, one.side, index, saliency) for saliency, index in going]


def indices(directions: list[Direction], block: str, side: Side) -> list[int]:
    """Those of one side of a block, in order."""
    return sorted(d.index for d in directions if (d.block, d.side) == (block, side))


def others(size: int, removed: list[int]) -> Tensor | None:
    """Indices, int64, that are not in `removed`; None where nothing is removed."""
    if not removed:
        return None
    gone = set(removed)
    return torch.tensor([index for index in range(size) if index not in gone], dtype=torch.int64)
