"""Which points of a front are worth a look at the test set: what may be lost, and what a point is expected to lose."""

from collections.abc import Sequence
from dataclasses import dataclass

from micronet.contract import FrontPoint


@dataclass(frozen=True, slots=True)
class Allowance:
    """`drop`, a share of all images, that may be lost; `hard` is the accuracy on hard images it is taken off.

    How many answers change is known well, how many right ones are lost in the end only roughly, since nearly as many
    are won: on 5000 images it may be off by 0.3 % by chance. So the share of changed answers that is lost is taken
    from all points together, weighted by how many answers they change. It is taken on images of which as many are
    answered wrong as of test images: where nearly all answers are right, a changed answer is a lost one.
    """

    drop: float
    hard: float

    def expected(self, point: FrontPoint, among: Sequence[FrontPoint]) -> float:
        """Accuracy that `point` loses, by the share of changed answers that points like it lose."""
        changed = sum(1 - one.hard_agreement for one in among)
        lost = sum(self.hard - one.hard.top1 for one in among)
        share = lost / changed if changed else 0.0
        return max(share, LEAST_LOST) * (1 - point.agreement)

    def keeps(self, point: FrontPoint, among: Sequence[FrontPoint]) -> bool:
        """Whether it is expected to lose no more than it may."""
        return self.expected(point, among) <= self.drop


LEAST_LOST = 0.02
"""Of changed answers, the share that is lost at least, whatever a few hundred images say."""


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
        worse = lost / self._expected[index]
        self._limit = min(self._limit, self._spare / worse)
        self._left = [one for one in self._left if self._expected[one] < self._expected[index]]
