"""Accuracy against score: the plane that the board's front and an optimize job's road are drawn on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from app.pages.drawings.scale import Scale, around, around_logarithmic

WIDTH, HEIGHT = 960, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 16.0, 14.0, 44.0


@dataclass(frozen=True, slots=True)
class Plane:
    """Where a score (lower is better, on a logarithmic scale) and an accuracy lie, in pixels."""

    width: ClassVar[int] = WIDTH
    height: ClassVar[int] = HEIGHT
    left: ClassVar[float] = _LEFT
    right: ClassVar[float] = WIDTH - _RIGHT
    top: ClassVar[float] = _TOP
    bottom: ClassVar[float] = HEIGHT - _BOTTOM

    x: Scale
    y: Scale

    @property
    def x_ticks(self) -> tuple[tuple[float, str], ...]:
        """Round scores, with their pixels."""
        return tuple((self.x(value), f"{value:g}") for value in self.x.ticks())

    @property
    def y_ticks(self) -> tuple[tuple[float, str], ...]:
        """Round accuracies in percent, with their pixels."""
        return tuple((self.y(value), f"{100 * value:g}") for value in self.y.ticks())


def scales_around(scores: Sequence[float], top1s: Sequence[float]) -> tuple[Scale, Scale]:
    """Those of a plane with room for all of them."""
    x = Scale(*around_logarithmic(scores), _LEFT, WIDTH - _RIGHT, logarithmic=True)
    return x, Scale(*around(top1s), HEIGHT - _BOTTOM, _TOP)


def steps(front: Iterable[tuple[float, float]], x: Scale, y: Scale) -> str:
    """An SVG path through (score, top-1), both rising: what lies below and right of it is beaten."""
    places = [(x(score), y(top1)) for score, top1 in front]
    return "".join(f"H{left}V{up}" if index else f"M{left} {up}" for index, (left, up) in enumerate(places))
