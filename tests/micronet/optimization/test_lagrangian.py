"""Choosing under a multiplier, against every combination there is; and which points of a front are safe."""

import math
from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micronet.contract import Accuracy, FrontPoint, ScoreTerms
from micronet.optimization.closing_in import NEAR, close_in
from micronet.optimization.front import LEAST_RATE, OF_TEST, Allowance, best_first
from micronet.optimization.hard_images import HALF, HARD, MOST, share_as_hard
from micronet.optimization.lagrangian import choose, multiplier_for_loss, total


@dataclass(frozen=True)
class Option:
    loss: float
    cost: float


numbers = st.integers(0, 100).map(float)
parts = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.builds(Option, numbers, numbers), min_size=1, max_size=4), min_size=1
)


@settings(max_examples=100, deadline=None)
@given(parts, st.floats(0.01, 100))
def test_no_combination_of_no_more_loss_costs_less(parts: dict[str, list[Option]], multiplier: float) -> None:
    found = total(choose(parts, multiplier).values())
    for combination in product(*parts.values()):
        other = total(combination)
        assert found.loss + multiplier * found.cost <= (other.loss + multiplier * other.cost) * (1 + 1e-9)
        assert other.loss > found.loss or other.cost >= found.cost * (1 - 1e-9)


@settings(max_examples=100, deadline=None)
@given(parts, st.floats(0, 300))
def test_the_price_keeps_the_loss_wherever_anything_does(parts: dict[str, list[Option]], loss: float) -> None:
    found = total(choose(parts, multiplier_for_loss(parts.values(), loss)).values())
    least = sum(min(one.loss for one in options) for options in parts.values())
    assert found.loss <= max(loss, least)


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


def test_images_are_mixed_until_they_are_as_hard() -> None:
    """The way from 1 to 0.8: half of it is 0.9."""
    assert share_as_hard(lambda share: 1 - share, 0.8, HALF) == pytest.approx(0.1, abs=MOST / 64)
    assert share_as_hard(lambda share: 1 - share, 0.8, HARD) == pytest.approx(0.2, abs=MOST / 64)
    assert share_as_hard(lambda share: 0.7 - share, 0.8, HARD) == 0
    assert share_as_hard(lambda share: 1.0, 0.8, HARD) == MOST


@pytest.mark.parametrize("first", [0.02, 1e-4, 3.0])
@pytest.mark.parametrize("power", [0.7, 1.3, 2.5])
def test_closing_in_ends_just_below_what_may_be_lost(first: float, power: float) -> None:
    shares: list[float] = []

    def share_of(loss: float) -> float:
        shares.append((loss / 0.05) ** power)
        return shares[-1]

    close_in(share_of, first, 30)
    assert NEAR <= shares[-1] <= 1
    assert len(shares) <= 12


def test_where_there_is_nothing_in_between_it_ends_as_near_as_it_can() -> None:
    """Two networks only: one loses a third of what may be lost, the other three times as much."""
    losses: list[float] = []

    def share_of(loss: float) -> float:
        losses.append(loss)
        return 1 / 3 if loss < 0.037 else 3.0

    close_in(share_of, 0.02, 60)
    assert len(losses) < 60
    assert max(loss for loss in losses if loss < 0.037) > 0.036


def test_it_stops_when_it_is_told_to_and_where_nothing_may_be_lost() -> None:
    losses: list[float] = []

    def share_of(loss: float) -> float:
        losses.append(loss)
        return math.inf

    close_in(share_of, 0.02, 5)
    assert len(losses) == 5
    assert losses == sorted(losses, reverse=True)


def test_after_enough_steps_whatever_keeps_will_do_and_before_there_is_one_it_goes_on() -> None:
    losses: list[float] = []

    def share_of(loss: float) -> float:
        losses.append(loss)
        return (loss / 0.05) ** 3 if loss < 0.05 else 40.0

    found = close_in(share_of, 0.02, 20, enough=2)
    assert (losses, found) == ([0.02, 0.08], 0.02)
    losses.clear()
    found = close_in(share_of, 30.0, 20, enough=2)
    assert 2 < len(losses) < 20
    assert (found, sum(loss < 0.05 for loss in losses)) == (losses[-1], 1)
