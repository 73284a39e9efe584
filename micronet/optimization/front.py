"""Which points of a front are safe: what may be lost, and what a point is expected to lose."""

from collections.abc import Sequence
from dataclasses import dataclass

from micronet.contract import FrontPoint


@dataclass(frozen=True, slots=True)
class Allowance:
    """`drop`, a share of all images, that may be lost; `before` is the accuracy it is taken off.

    How many answers change is known well, how many right ones are lost in the end only roughly, since about as many
    are won: on 5000 images it may be off by 0.3 % by chance. So the share of changed answers that is lost is taken
    from all points together, weighted by how many answers they change.
    """

    drop: float
    before: float

    def expected(self, point: FrontPoint, among: Sequence[FrontPoint]) -> float:
        """Accuracy that `point` loses, by the share of changed answers that points like it lose."""
        changed = sum(1 - one.agreement for one in among)
        lost = sum(self.before - one.holdout.top1 for one in among)
        share = lost / changed if changed else 0.0
        return max(share, 0.0) * (1 - point.agreement)

    def keeps(self, point: FrontPoint, among: Sequence[FrontPoint]) -> bool:
        """Whether it is expected to lose no more than it may."""
        return self.expected(point, among) <= self.drop


def best_first(points: Sequence[FrontPoint], allowance: Allowance) -> list[int]:
    """Indices of `points` in the order in which they are worth a look at the test set.

    First the lowest score of those that keep the allowance; then, one after the other, what is expected to lose less
    than the one before it, by rising score.
    """
    losses = [allowance.expected(point, points) for point in points]
    order = sorted(range(len(points)), key=lambda index: (points[index].score.total, index))
    safe = [index for index in order if losses[index] <= allowance.drop]
    taken: list[int] = []
    for index in safe or sorted(order, key=lambda index: losses[index]):
        if not taken or losses[index] < losses[taken[-1]]:
            taken.append(index)
    return taken
