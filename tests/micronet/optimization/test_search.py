"""Choosing under a price, against every combination there is; and which points of a front are safe."""

from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from micronet.contract import Accuracy, FrontPoint, ScoreTerms
from micronet.optimization.front import Allowance, best_first
from micronet.optimization.mixing import MOST, share_as_hard
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


def point(score: float, top1: float, agreement: float) -> FrontPoint:
    accuracy = Accuracy(correct=round(1000 * top1), total=1000, top1=top1)
    terms = ScoreTerms(storage=0.0, math=score, total=score)
    return FrontPoint(kind="searched", description="", holdout=accuracy, agreement=agreement, loss=0.0, score=terms)


def test_a_third_of_the_changed_answers_was_lost() -> None:
    """Of 0.10 + 0.20 changed, 0.02 + 0.08 were lost: 1 in 3, whatever a single point lost."""
    allowance = Allowance(drop=0.05, before=0.9)
    front = [point(3, 0.88, 0.9), point(2, 0.82, 0.8)]
    assert allowance.expected(front[0], front) == pytest.approx(0.1 / 3)
    assert allowance.expected(front[1], front) == pytest.approx(0.2 / 3)
    assert [allowance.keeps(one, front) for one in front] == [True, False]


def test_looks_begin_with_the_best_safe_one_and_go_on_to_safer_ones() -> None:
    front = [point(4, 0.9, 0.99), point(3, 0.88, 0.9), point(2, 0.86, 0.8), point(3.5, 0.88, 0.89)]
    assert best_first(front, Allowance(0.03, 0.9)) == [1, 0]
    assert best_first(front, Allowance(0.06, 0.9)) == [2, 1, 0]
    assert best_first(front, Allowance(0.0001, 0.9)) == [0]
    assert best_first([], Allowance(1, 0.9)) == []


def test_images_are_mixed_until_they_are_as_hard() -> None:
    """Half the way from 1 to 0.8 is 0.9."""
    assert share_as_hard(lambda share: 1 - share, 0.8) == pytest.approx(0.1, abs=MOST / 64)
    assert share_as_hard(lambda share: 0.7 - share, 0.8) == 0
    assert share_as_hard(lambda share: 1.0, 0.8) == MOST
