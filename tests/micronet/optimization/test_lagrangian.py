"""Choosing under a multiplier, against every combination there is."""

from dataclasses import dataclass
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from micronet.optimization.lagrangian import choose, multiplier_for_loss, total


@dataclass(frozen=True)
class Option:
    loss: float
    cost: float


numbers = st.integers(0, 100).map(float)
parts = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.builds(Option, numbers, numbers), min_size=1, max_size=4), min_size=1
)


@settings(max_examples=100)
@given(parts, st.floats(0.01, 100))
def test_no_combination_of_no_more_loss_costs_less(parts: dict[str, list[Option]], multiplier: float) -> None:
    found = total(choose(parts, multiplier).values())
    for combination in product(*parts.values()):
        other = total(combination)
        assert found.loss + multiplier * found.cost <= (other.loss + multiplier * other.cost) * (1 + 1e-9)
        assert other.loss > found.loss or other.cost >= found.cost * (1 - 1e-9)


@settings(max_examples=100)
@given(parts, st.floats(0, 300))
def test_the_multiplier_keeps_the_loss_wherever_anything_does(parts: dict[str, list[Option]], loss: float) -> None:
    found = total(choose(parts, multiplier_for_loss(parts.values(), loss)).values())
    least = sum(min(one.loss for one in options) for options in parts.values())
    assert found.loss <= max(loss, least)
