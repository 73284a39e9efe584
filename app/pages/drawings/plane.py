"""Accuracy against score: the plane that the board's front and an optimize job's road are drawn on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.pages.drawings.scale import Scale, around, around_logarithmic, written

_WHOLE = 100.0


@dataclass(frozen=True, slots=True)
class Plane:
    """Where a score (lower is better, on a logarithmic scale) and an accuracy lie, in percent of the picture.

    So the picture fits every window, and what is written in it is of one size in all of them.
    """

    x: Scale
    y: Scale

    @property
    def x_ticks(self) -> tuple[tuple[float, str], ...]:
        """Round scores, with their places."""
        return tuple((self.x(value), written(value)) for value in self.x.ticks())

    @property
    def y_ticks(self) -> tuple[tuple[float, str], ...]:
        """Round accuracies in percent, with their places."""
        return tuple((self.y(value), written(100 * value)) for value in self.y.ticks())


def scales_around(scores: Sequence[float], top1s: Sequence[float]) -> tuple[Scale, Scale]:
    """Those of a plane with room for all of them."""
    x = Scale(*around_logarithmic(scores), 0.0, _WHOLE, logarithmic=True)
    return x, Scale(*around(top1s), _WHOLE, 0.0)


def steps(front: Iterable[tuple[float, float]], x: Scale, y: Scale) -> str:
    """An SVG path through (score, top-1), both rising: what lies below and right of it is beaten."""
    places = [(x(score), y(top1)) for score, top1 in front]
    return "".join(f"H{left}V{up}" if index else f"M{left} {up}" for index, (left, up) in enumerate(places))
