"""Looks of the optimize job at the test set, in an order that is known before the first, until one keeps the floor."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from micronet.contract import Accuracy, TestLook
from micronet.optimization.front import Allowance, best_first
from micronet.optimization.network_maker import FrontNetwork, PointKind
from micronet.progress import Progress


@dataclass(frozen=True, slots=True)
class LookOrder:
    """The networks of a front, and what says which of them are looked at.

    `floor` is in correct test images; `most` looks are taken at networks of a kind.
    """

    front: Sequence[FrontNetwork]
    allowance: Allowance
    floor: int
    most: int

    def looks(self, kind: PointKind, measure: Callable[[FrontNetwork], Accuracy]) -> tuple[TestLook, ...]:
        """At networks of a kind, by `measure` on the test set, until one keeps the floor."""
        places = [place for place, network in enumerate(self.front) if network.point.kind == kind]
        points = [self.front[place].point for place in places]
        looks: list[TestLook] = []
        for index in best_first(points, self.allowance)[: self.most]:
            found = measure(self.front[places[index]])
            looks.append(TestLook(point=places[index], accuracy=found, kept_floor=found.correct >= self.floor))
            if looks[-1].kept_floor:
                break
        return tuple(looks)


def doubts(looks: Sequence[TestLook]) -> tuple[str, ...]:
    """What a reader has to know where the first choice did not hold."""
    failed = len(looks) - looks[-1].kept_floor
    networks = "1 network" if failed == 1 else f"{failed} networks"
    if not looks[-1].kept_floor:
        return (
            f"{networks} measured on the test set, and none keeps the floor. Ask for a larger margin, more points or "
            "more looks.",
        )
    return (
        (f"{networks} of a lower score fell under the floor on the test set; this is a safer one.",) if failed else ()
    )


class Evaluating:
    """Passes on how far an evaluation is, and none of its stages: they are part of one of ours."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def stage(self, name: str, index: int, count: int) -> None:
        """Another job's stage."""

    def advance(self, done: int, total: int, unit: str) -> None:
        """As the job says it."""
        self._progress.advance(done, total, unit)
