"""From values to places on a drawing, and the round values to mark on its axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_SCORE = 1e-9
"""What a score of nothing is drawn at: a network without an operation has one, and no logarithm."""
MOST, LEAST = 1e300, 1e-300
"""What larger values are drawn at, and what is nothing: beyond, a float has no room for a margin or a step."""
_ALIKE = 1e-9
"""Of values that differ by no more than this share, no mark could tell the difference."""
_STEPS = (1, 2, 2.5, 5, 10)
_MOST_DECADES = 12


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from `low` to `high` onto places from `start` to `end`, evenly or by their logarithms."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value, rounded to hundredths; one beyond an end lies there."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self, most: int = 6) -> tuple[float, ...]:
        """Round values between the ends, at most about `most`."""
        decades = _decades(self.low, self.high) if self.logarithmic else ()
        return decades if len(decades) > 1 else _rounds(self.low, self.high, most)


def written(value: float) -> str:
    """A round value beside its mark: 0.00005 and not 5e-05, for all marks of an axis are to be written alike.

    What would take a line of zeros has an exponent.
    """
    if value and not 1e-9 <= abs(value) < 1e12:
        return f"{value:.10g}"
    return f"{value:,.12f}".rstrip("0").rstrip(".")


def around(values: Sequence[float], margin: float = 0.06) -> tuple[float, float]:
    """Ends of an even scale that shows all values and some room beside them."""
    low, high = _drawn(min(values)), _drawn(max(values))
    largest = max(abs(low), abs(high))
    room = (high - low) * margin
    if high - low <= max(largest * _ALIKE, LEAST):
        room = largest * margin if largest * margin > LEAST else 1.0
    return low - room, high + room


def around_logarithmic(values: Sequence[float], margin: float = 1.15) -> tuple[float, float]:
    """The same for positive values on a logarithmic scale."""
    return _drawn(min(values)) / margin, _drawn(max(values)) * margin


def _drawn(value: float) -> float:
    return min(max(value, -MOST), MOST)


def _rounds(low: float, high: float, most: int) -> tuple[float, ...]:
    rough = (high - low) / most
    exponent = math.floor(math.log10(rough))
    power = 10.0**exponent
    step = next(power * factor for factor in _STEPS if power * factor >= rough)
    first = math.ceil(low / step)
    return tuple(round(step * index, 2 - exponent) for index in range(first, math.floor(high / step) + 1))


def _decades(low: float, high: float) -> tuple[float, ...]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    powers = range(first, last + 1, -(-(last + 1 - first) // _MOST_DECADES))
    wide = high / low > 300
    marks = (1,) if wide else (1, 2, 5)
    values = [round(mark * 10.0**power, 12) for power in powers for mark in marks]
    return tuple(value for value in values if low <= value <= high)
