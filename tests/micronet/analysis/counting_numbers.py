"""Numbers that count what is done to them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np


@dataclass
class Tally:
    """Operations so far; a comparison or a transcendental operation counts as a multiplication."""

    multiplications: int = 0
    additions: int = 0


class Number:
    """A real number that tells its tally what is done to it."""

    def __init__(self, value: float, tally: Tally) -> None:
        self.value, self.tally = value, tally

    def _multiplied(self, value: float) -> "Number":
        self.tally.multiplications += 1
        return Number(value, self.tally)

    def _added(self, value: float) -> "Number":
        self.tally.additions += 1
        return Number(value, self.tally)

    def __mul__(self, other: "Number | float") -> "Number":
        return self._multiplied(self.value * _value(other))

    def __truediv__(self, other: "Number | float") -> "Number":
        return self._multiplied(self.value / _value(other))

    def __add__(self, other: "Number | float") -> "Number":
        return self._added(self.value + _value(other))

    def __sub__(self, other: "Number | float") -> "Number":
        return self._added(self.value - _value(other))

    def larger(self, other: "Number | float") -> "Number":
        return self._multiplied(max(self.value, _value(other)))

    def smaller(self, other: "Number | float") -> "Number":
        return self._multiplied(min(self.value, _value(other)))

    def is_positive(self) -> bool:
        self.tally.multiplications += 1
        return self.value > 0

    def apply(self, function: Callable[[float], float]) -> "Number":
        return self._multiplied(function(self.value))


Array = np.ndarray  # of Numbers, without the batch


def _value(number: Number | float) -> float:
    return number.value if isinstance(number, Number) else number


def add_up(terms: Iterable[Number | float]) -> Number | float:
    """One addition for each term but the first; a sum of nothing is 0, and constants alone are no work."""
    numbers = list(terms)
    return reduce(lambda a, b: a + b, numbers) if numbers else 0.0
