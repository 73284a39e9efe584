"""The three submissions of the report this project starts from, scored from the totals that it gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from micronet.scoring.score import score
from micronet.tracks import BUILT_IN

_MILLION = 10**6


@dataclass(frozen=True, slots=True)
class Submission:
    """Storage and math in millions of 32-bit parameters and operations, and the score, as the report prints them."""

    name: str
    storage: str
    math: str
    accuracy: str
    merged: bool
    param_bits: int
    mul_bits: int
    published: str

    @property
    def terms(self) -> str:
        """The formula with its numbers."""
        storage, math = (round(Fraction(text) * _MILLION) for text in (self.storage, self.math))
        track = BUILT_IN["cifar100"]
        return f"{storage:,} / {track.baseline_storage:,} + {math:,} / {track.baseline_math:,}"

    @property
    def score(self) -> float:
        """What the library makes of the totals."""
        track = BUILT_IN["cifar100"]
        storage, math = Fraction(self.storage) * _MILLION, Fraction(self.math) * _MILLION
        return score(storage, math, track.baseline_storage, track.baseline_math).total


SUBMISSIONS: Sequence[Submission] = (
    Submission("1", "0.3445", "391.2", "80.15 %", False, 9, 12, "0.0467"),
    Submission("2", "0.3558", "384.8", "80.47 %", True, 10, 12, "0.0464"),
    Submission("3", "0.32467", "384.8", "80.003 %", True, 9, 12, "0.0456"),
)
"""WaveComp, MicroNet Challenge at NeurIPS 2019."""
