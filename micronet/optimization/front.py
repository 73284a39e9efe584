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
    from all points of a kind together. So is what share changes with noise of one size, and a point's own noise, its
    `loss`, has no chance of counting in it. And the rate is taken on images of which as many are answered wrong as of
    test images: where nearly all answers are right, a changed answer is a lost one. Of what that says, `OF_TEST` is
    lost on test images.
    """

    drop: float
    hard: float

    def expected(self, point: FrontPoint, among: Sequence[FrontPoint]) -> float:
        """Accuracy that `point` loses, at the rate of all points together."""
        squares = sum((1 - one.hard_agreement) ** 2 for one in among)
        lost = sum(self.hard - one.hard.top1 for one in among)
        rate = lost / squares if squares else 0.0
        noise = sum(one.loss for one in among)
        changed = sum((1 - one.agreement) ** 2 for one in among) / noise * point.loss if noise else 0.0
        return max(OF_TEST * rate, LEAST_RATE) * changed


OF_TEST = 0.85
"""Mixed images are a little harder to keep than test images: networks of two published entries lost 0.6 to 0.9 of what
hard images said (seven of KAIST's pr45, two of pr15)."""
LEAST_RATE = 0.2
"""Whatever a few hundred images say."""


def best_first(points: Sequence[FrontPoint], allowance: Allowance) -> list[int]:
    """Indices of `points` in the order in which they are worth a look at the test set, until one keeps the floor.

    The first is the lowest score that is expected to keep the allowance, or, where none is, what is expected to lose
    least. Each next one is the lowest score that is expected to lose clearly less than the one before it, and behind
    these come all others that are expected to lose no more than the last of them.
    """
    losses = [allowance.expected(point, points) for point in points]
    order = sorted(range(len(points)), key=lambda index: (points[index].score.total, index))
    first = next((index for index in order if losses[index] <= allowance.drop), None)
    if first is None:
        first = min(order, key=lambda index: losses[index], default=None)
    taken = [] if first is None else [first]
    for index in order:
        if taken and losses[index] < CLEARLY * losses[taken[-1]]:
            taken.append(index)
    return taken + [index for index in order if taken and index not in taken and losses[index] <= losses[taken[-1]]]


CLEARLY = 0.97
"""Of an expected loss: what is expected to lose more than that is no step back from it."""
