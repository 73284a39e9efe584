"""Looks at the test set: in an order set before, until one keeps the floor."""

from typing import Literal

from micronet.contract import Accuracy, FrontPoint, ScoreTerms
from micronet.jobs.looks import LookOrder, doubts
from micronet.optimization.front import Allowance
from micronet.optimization.network_maker import FrontNetwork


def network(kind: Literal["searched", "uniform"], score: float) -> FrontNetwork:
    """One of `score`, which changes the fewer answers the more it costs."""
    point = FrontPoint(
        kind=kind,
        description="",
        holdout=Accuracy(correct=90, total=100, top1=0.9),
        agreement=1 - 0.1 / score,
        loss=(0.1 / score) ** 2,
        hard=Accuracy(correct=79, total=100, top1=0.79),
        hard_agreement=0.9,
        score=ScoreTerms(storage=0.0, math=score, total=score),
    )
    return FrontNetwork(point, b"")


def measure(made: FrontNetwork) -> Accuracy:
    correct = 340 + round(made.point.score.total)
    return Accuracy(correct=correct, total=360, top1=correct / 360)


def order(most: int) -> LookOrder:
    """Of a front of three networks of either kind; the floor is 342."""
    front = [network("searched", score) for score in (30.0, 10.0, 20.0)]
    front += [network("uniform", score) for score in (3.0, 1.0, 2.0)]
    return LookOrder(front, Allowance(1.0, 0.8), floor=342, most=most)


def test_a_first_choice_under_the_floor_steps_back_to_a_safer_one_and_says_so() -> None:
    found = order(most=4).looks("uniform", measure)
    assert [(look.point, look.accuracy.correct, look.kept_floor) for look in found] == [
        (4, 341, False),
        (5, 342, True),
    ]
    assert doubts(found) == ("1 network of a lower score fell under the floor on the test set; this is a safer one.",)
    assert doubts(found[1:]) == ()
    short = order(most=1).looks("uniform", measure)
    assert "none keeps the floor" in doubts(short)[0]


def test_networks_of_the_other_kind_are_not_looked_at() -> None:
    assert [look.point for look in order(most=4).looks("searched", measure)] == [1]
