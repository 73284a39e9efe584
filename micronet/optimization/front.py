"""Which points of a front are worth a look at the test set: what may be lost, and what a point is expected to lose."""

from collections.abc import Sequence
from dataclasses import dataclass

from micronet.contract import FrontPoint


@dataclass(frozen=True, slots=True)
class Allowance:
    """`drop`, a share of all images, that may be lost; `hard` is the accuracy on hard images it is taken off.

    Noise on the logits changes answers in proportion to its size. Nearly as many are won as are lost, and what is left
    grows with the square of its size. So a point is taken to lose `rate` times the square of the share of answers it
    changes. One point says little of the rate, which on 5000 images may be off by 0.3 % of them by chance: it is taken
    from all points together. And it is taken on images of which as many are answered wrong as of test images: where
    nearly all answers are right, a changed answer is a lost one.
    """

    drop: float
    hard: float

    def expected(self, point: FrontPoint, among: Sequence[FrontPoint]) -> float:
        """Accuracy that `point` loses, at the rate of all points together."""
        squares = sum((1 - one.hard_agreement) ** 2 for one in among)
        lost = sum(self.hard - one.hard.top1 for one in among)
        rate = lost / squares if squares else 0.0
        return max(rate, LEAST_RATE) * (1 - point.agreement) ** 2


LEAST_RATE = 0.2
"""Whatever a few hundred images say."""


class Order:
    """In which order points are looked at: the lowest score first that is expected to keep what may be lost.

    After a look under the floor, what it lost more than expected is expected of all others too, and the next is the
    lowest score that keeps `spare`, a share of all images, by that; where none does, the one expected to lose least.
    """

    def __init__(self, points: Sequence[FrontPoint], allowance: Allowance, spare: float) -> None:
        self._points, self._spare, self._limit = points, spare, allowance.drop
        self._expected = [allowance.expected(point, points) for point in points]
        self._left = sorted(range(len(points)), key=lambda index: (points[index].score.total, index))

    def next(self) -> int | None:
        """Index of the point to look at; None where all that could do better have been looked at."""
        safe = [index for index in self._left if self._expected[index] <= self._limit]
        return safe[0] if safe else min(self._left, key=lambda index: self._expected[index], default=None)

    def failed(self, index: int, lost: float) -> None:
        """The point lost `lost` of all images, more than it may: it goes, and so does all that may lose more."""
        worse = lost / max(self._expected[index], _LEAST)
        self._limit = min(self._limit, self._spare / worse)
        self._left = [one for one in self._left if self._expected[one] < self._expected[index]]


_LEAST = 1e-9
"""Of a loss that is divided by: a network that changes no held-out answer is expected to lose none."""
