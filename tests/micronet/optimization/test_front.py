"""Which points of a front are safe, and in which order they are looked at."""

import pytest

from micronet.contract import Accuracy, FrontPoint, ScoreTerms
from micronet.optimization.front import LEAST_RATE, OF_TEST, Allowance, best_first


def point(score: float, agreement: float, top1: float = 0.8, hard_agreement: float = 0.9) -> FrontPoint:
    """Of 1000 hard images `top1` are right, and `hard_agreement` answered as before."""
    hard = Accuracy(correct=round(1000 * top1), total=1000, top1=top1)
    return FrontPoint(
        kind="searched",
        description="",
        holdout=Accuracy(correct=900, total=1000, top1=0.9),
        agreement=agreement,
        loss=7 * (1 - agreement) ** 2,
        hard=hard,
        hard_agreement=hard_agreement,
        score=ScoreTerms(storage=0.0, math=score, total=score),
    )


def test_what_is_lost_grows_with_the_square_of_what_changes() -> None:
    """Of hard ones 0.1 and 0.2 changed and 0.02 + 0.08 were lost: twice the squares, whatever a single point lost."""
    allowance = Allowance(drop=0.01, hard=0.8)
    front = [point(3, 0.95, 0.78, 0.9), point(2, 0.9, 0.72, 0.8)]
    assert allowance.expected(front[0], front) == pytest.approx(OF_TEST * 2 * 0.05**2)
    assert allowance.expected(front[1], front) == pytest.approx(OF_TEST * 2 * 0.1**2)


def test_points_that_won_by_chance_are_not_taken_for_better_than_what_they_are_made_of() -> None:
    front = [point(3, 0.9, 0.82)]
    assert Allowance(1, 0.8).expected(front[0], front) == pytest.approx(LEAST_RATE * 0.1**2)


def test_what_a_point_changes_is_taken_from_its_loss_and_not_from_its_own_count() -> None:
    """Two of the same noise, of which one happens to agree more often."""
    front = [
        point(3, 0.95, 0.78).model_copy(update={"loss": 0.1}),
        point(2, 0.91, 0.78).model_copy(update={"loss": 0.1}),
    ]
    losses = [Allowance(0.01, 0.8).expected(one, front) for one in front]
    assert losses[0] == losses[1] == pytest.approx(OF_TEST * 2 * (0.05**2 + 0.09**2) / 2)
    assert Allowance(0.01, 0.8).expected(point(1, 1.0), [point(1, 1.0)]) == 0


def order(front: list[FrontPoint], drop: float) -> list[int]:
    """Hard images lose the square of what changes."""
    return best_first(front, Allowance(OF_TEST * drop, 0.8))


FRONT = [point(score, 1 - change, 0.79) for score, change in ((4, 0.05), (3, 0.1), (2, 0.2), (3.5, 0.11), (2.5, 0.15))]


def test_looks_begin_with_the_best_that_is_expected_to_hold_and_go_on_to_safer_ones() -> None:
    assert order(FRONT, 0.0401) == [2, 4, 1, 0]
    assert order(FRONT, 0.0101) == [1, 0]
    assert order([], 1) == []


def test_where_none_is_expected_to_hold_the_one_that_loses_least_is_looked_at() -> None:
    assert order(FRONT, 0.0001) == [0]


def test_among_equals_the_next_one_is_looked_at_too() -> None:
    front = [point(score, 1.0, 0.8, 1.0) for score in (5, 4, 6)]
    assert order(front, 0.0) == [1, 0, 2]
    nearly = [point(2, 0.9, 0.79), point(3, 0.901, 0.79), point(4, 0.95, 0.79)]
    assert order(nearly, 0.1) == [0, 2], "0.0098 is no step back from 0.01"
