"""The MicroNet score. Every job, and the check against the published submissions, comes through `score`."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Score:
    """The two terms and their sum; lower is better."""

    storage: float
    math: float

    @property
    def total(self) -> float:
        """storage / baseline_storage + math / baseline_math (SCORING section 1)."""
        return self.storage + self.math


def score(storage: Fraction, math: Fraction, baseline_storage: int, baseline_math: int) -> Score:
    """Score of `storage` 32-bit parameters and `math` 32-bit operations against a track's baselines.

    >>> from fractions import Fraction
    >>> round(score(Fraction(324_670), Fraction(384_800_000), 36_500_000, 10_490_000_000).total, 5)
    0.04558
    """
    return Score(float(storage / baseline_storage), float(math / baseline_math))
