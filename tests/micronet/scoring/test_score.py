"""The formula, and the published scores of the three submissions through it."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from micronet.scoring.score import Score, score
from micronet.tracks import BUILT_IN

CIFAR100, IMAGENET = BUILT_IN["cifar100"], BUILT_IN["imagenet"]


def published(storage: str, math: str) -> Score:
    """Storage and math in millions, as the report's table gives them."""
    million = 10**6
    return score(
        Fraction(storage) * million, Fraction(math) * million, CIFAR100.baseline_storage, CIFAR100.baseline_math
    )


@pytest.mark.parametrize(
    ("storage", "math", "digits", "total"),
    [
        ("0.3445", "391.2", 4, 0.0467),
        ("0.3558", "384.8", 4, 0.0464),
        ("0.32467", "384.8", 4, 0.0456),
        ("0.32467", "384.8", 5, 0.04558),
    ],
)
def test_published_scores(storage: str, math: str, digits: int, total: float) -> None:
    assert round(published(storage, math).total, digits) == total


def test_baselines_are_those_of_the_rules() -> None:
    assert (CIFAR100.baseline_storage, CIFAR100.baseline_math) == (36_500_000, 10_490_000_000)
    assert (IMAGENET.baseline_storage, IMAGENET.baseline_math) == (6_900_000, 1_170_000_000)


def test_the_published_totals_fit_param_bits_and_not_mul_bits() -> None:
    """Second and third differ by one bit of storage for each non-zero parameter, and not in math.

    Both have about 0.951 M non-zero of 1.826 M parameters: 0.951 M * 10/32 + 1.826 M / 32 = 0.354 M, and with 9 bits
    0.325 M. One bit of 0.951 M parameters is 0.0297 M, and 0.3558 - 0.32467 = 0.0311, within their rounding.
    """
    nonzero, total = 951_000, 1_826_000
    for bits, storage in ((10, 355_800), (9, 324_670)):
        assert Fraction(nonzero * bits + total, 32) == pytest.approx(storage, rel=0.01)
    # 560 M operations, half of them multiplications at 12 bits and half additions at 32: 385 M; at 9 or 10 bits
    # the math would be 359 M or 368 M
    assert Fraction(560_000_000 * (12 + 32), 2 * 32) == pytest.approx(384_800_000, rel=0.001)
    assert Fraction(580_000_000 * (12 + 32), 2 * 32) == pytest.approx(391_200_000, rel=0.025)


counts = st.integers(0, 10**12)


@given(counts, counts, counts)
def test_a_score_is_the_sum_of_its_terms_and_grows_with_each(storage: int, math: int, more: int) -> None:
    one = score(Fraction(storage, 32), Fraction(math, 32), 36_500_000, 10_490_000_000)
    assert one.total == one.storage + one.math
    assert one.storage == storage / (32 * 36_500_000)
    larger = score(Fraction(storage + more, 32), Fraction(math + more, 32), 36_500_000, 10_490_000_000)
    assert larger.storage >= one.storage
    assert larger.math >= one.math


def test_the_baseline_itself_scores_two() -> None:
    assert score(Fraction(36_500_000), Fraction(10_490_000_000), 36_500_000, 10_490_000_000) == Score(1.0, 1.0)
