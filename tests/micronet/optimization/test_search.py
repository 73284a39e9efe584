"""Choosing under a price, against every combination there is; and which points of a front are safe."""

import math
from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micronet.contract import Accuracy, FrontPoint, ScoreTerms
from micronet.optimization.closing_in import NEAR, close_in
from micronet.optimization.front import LEAST_RATE, Allowance, Order
from micronet.optimization.mixing import HALF, HARD, MOST, share_as_hard
from micronet.optimization.search import choose, price_for_loss, total


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
def test_no_combination_of_no_more_loss_costs_less(parts: dict[str, list[Option]], price: float) -> None:
    found = total(choose(parts, price).values())
    for combination in product(*parts.values()):
        other = total(combination)
        assert found.loss + price * found.cost <= (other.loss + price * other.cost) * (1 + 1e-9)
        assert other.loss > found.loss or other.cost >= found.cost * (1 - 1e-9)


@settings(max_examples=100, deadline=None)
@given(parts, st.floats(0, 300))
def test_the_price_keeps_the_loss_wherever_anything_does(parts: dict[str, list[Option]], loss: float) -> None:
    found = total(choose(parts, price_for_loss(parts.values(), loss)).values())
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
        loss=0.0,
        hard=hard,
        hard_agreement=hard_agreement,
        score=ScoreTerms(storage=0.0, math=score, total=score),
    )


def test_what_is_lost_grows_with_the_square_of_what_changes() -> None:
    """Of hard ones 0.1 and 0.2 changed and 0.02 + 0.08 were lost: twice the squares, whatever a single point lost."""
    allowance = Allowance(drop=0.01, hard=0.8)
    front = [point(3, 0.95, 0.78, 0.9), point(2, 0.9, 0.72, 0.8)]
    assert allowance.expected(front[0], front) == pytest.approx(2 * 0.05**2)
    assert allowance.expected(front[1], front) == pytest.approx(2 * 0.1**2)


def test_points_that_won_by_chance_are_not_taken_for_better_than_what_they_are_made_of() -> None:
    front = [point(3, 0.9, 0.82)]
    assert Allowance(1, 0.8).expected(front[0], front) == pytest.approx(LEAST_RATE * 0.1**2)


def order(front: list[FrontPoint], drop: float, spare: float) -> Order:
    """Hard images lose the square of what changes."""
    return Order(front, Allowance(drop, 0.8), spare)


FRONT = [point(score, 1 - change, 0.79) for score, change in ((4, 0.05), (3, 0.1), (2, 0.2), (3.5, 0.11), (2.5, 0.15))]


def test_the_first_look_is_at_the_lowest_score_that_is_expected_to_hold() -> None:
    assert order(FRONT, 0.0101, 0.0101).next() == 1
    assert order(FRONT, 0.0401, 0.0101).next() == 2
    assert order(FRONT, 0.0001, 0.0001).next() == 0
    assert order([], 1, 1).next() is None


def test_what_a_look_lost_beyond_what_was_expected_is_expected_of_the_next() -> None:
    """Point 2 was expected to lose 0.04. Having lost as much, the next may lose 0.023, half as much again 0.015."""
    as_expected = order(FRONT, 0.05, 0.023)
    as_expected.failed(2, 0.04)
    assert as_expected.next() == 4
    worse = order(FRONT, 0.05, 0.023)
    worse.failed(2, 0.06)
    assert worse.next() == 1
    worse.failed(1, 0.1)
    assert worse.next() == 0
    worse.failed(0, 0.03)
    assert worse.next() is None


def test_nothing_is_looked_at_that_is_expected_to_lose_more_than_what_failed() -> None:
    looks = order(FRONT, 0.0101, 0.0101)
    looks.failed(1, 0.012)
    assert looks.next() == 0


def test_images_are_mixed_until_they_are_as_hard() -> None:
    """The way from 1 to 0.8: half of it is 0.9."""
    assert share_as_hard(lambda share: 1 - share, 0.8, HALF) == pytest.approx(0.1, abs=MOST / 64)
    assert share_as_hard(lambda share: 1 - share, 0.8, HARD) == pytest.approx(0.2, abs=MOST / 64)
    assert share_as_hard(lambda share: 0.7 - share, 0.8, HARD) == 0
    assert share_as_hard(lambda share: 1.0, 0.8, HARD) == MOST


def test_one_that_was_expected_to_lose_nothing_may_fail_all_the_same() -> None:
    looks = order([point(4, 1.0, 0.8, 1.0), point(5, 1.0, 0.8, 1.0)], 0.0, 0.0)
    assert looks.next() == 0
    looks.failed(0, 0.001)
    assert looks.next() is None


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
