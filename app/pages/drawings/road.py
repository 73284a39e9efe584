"""The road of an optimize job: every network it made, by score and by accuracy on held-out images."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.pages.drawings.scale import Scale, around, around_logarithmic
from micronet.contract import FrontPoint, OptimizeResult

WIDTH, HEIGHT = 960, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 16.0, 14.0, 44.0
_LEAST_SCORE = 1e-9
"""A network without an operation has none, and no logarithm either."""


@dataclass(frozen=True, slots=True)
class RoadMark:
    """A network in pixels, and what it says; `looked` where it was measured on the test set."""

    x: float
    y: float
    title: str
    looked: bool = False


@dataclass(frozen=True, slots=True)
class RoadDrawing:
    """The picture; `line` leads through the searched networks that no other of these beats in both."""

    searched: tuple[RoadMark, ...]
    uniform: tuple[RoadMark, ...]
    before: RoadMark
    line: str
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    bottom: float = HEIGHT - _BOTTOM


def draw_road(result: OptimizeResult) -> RoadDrawing:
    """The picture of an optimize job, the file that came included."""
    top1s = [result.holdout_before.top1, *(point.holdout.top1 for point in result.front)]
    scores = [max(one.total, _LEAST_SCORE) for one in (result.before, *(point.score for point in result.front))]
    x = Scale(*around_logarithmic(scores), _LEFT, WIDTH - _RIGHT, logarithmic=True)
    y = Scale(*around(top1s), HEIGHT - _BOTTOM, _TOP)
    looked = {look.point for look in (*result.looks, *result.uniform_looks)}
    marks = [
        RoadMark(
            x(max(point.score.total, _LEAST_SCORE)),
            y(point.holdout.top1),
            f"{point.description}: score {point.score.total:.6f}, held-out top-1 {point.holdout.top1:.2%}",
            index in looked,
        )
        for index, point in enumerate(result.front)
    ]
    kinds = [point.kind for point in result.front]
    return RoadDrawing(
        searched=tuple(mark for mark, kind in zip(marks, kinds, strict=True) if kind == "searched"),
        uniform=tuple(mark for mark, kind in zip(marks, kinds, strict=True) if kind == "uniform"),
        before=RoadMark(x(scores[0]), y(result.holdout_before.top1), "the file as it came"),
        line=_line([point for point in result.front if point.kind == "searched"], x, y),
        x_ticks=tuple((x(value), f"{value:g}") for value in x.ticks()),
        y_ticks=tuple((y(value), f"{100 * value:g}") for value in y.ticks()),
    )


def _line(points: Sequence[FrontPoint], x: Scale, y: Scale) -> str:
    """In steps, from the lowest score to the highest accuracy."""
    parts: list[str] = []
    best = -1.0
    for point in sorted(points, key=lambda point: (point.score.total, -point.holdout.top1)):
        if point.holdout.top1 > best:
            best = point.holdout.top1
            place = x(max(point.score.total, _LEAST_SCORE)), y(best)
            parts.append(f"H{place[0]}V{place[1]}" if parts else f"M{place[0]} {place[1]}")
    return "".join(parts)
