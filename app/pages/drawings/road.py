"""The road of an optimize job: every network it made, by score and by accuracy on held-out images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.pages.drawings.plane import Plane, scales_around, steps
from app.pages.drawings.scale import LEAST_SCORE, Scale
from micronet.contract import FrontPoint, OptimizeResult, ScoreTerms


@dataclass(frozen=True, slots=True)
class RoadMark:
    """A network in percent of the plane, and what it says; `looked` where it was measured on the test set."""

    x: float
    y: float
    title: str
    looked: bool = False


@dataclass(frozen=True, slots=True)
class RoadDrawing(Plane):
    """The picture; `line` leads through the searched networks that no other of these beats in both."""

    searched: tuple[RoadMark, ...]
    uniform: tuple[RoadMark, ...]
    before: RoadMark
    line: str


def draw_road(result: OptimizeResult) -> RoadDrawing:
    """The picture of an optimize job, the file that came included."""
    points, before = result.front, result.holdout_before.top1
    x, y = scales_around(
        [_drawn(score) for score in (result.before, *(point.score for point in points))],
        [before, *(point.holdout.top1 for point in points)],
    )
    looked = {look.point for look in (*result.looks, *result.uniform_looks)}
    marks = [(point.kind, _mark(point, x, y, index in looked)) for index, point in enumerate(points)]
    return RoadDrawing(
        x=x,
        y=y,
        searched=tuple(mark for kind, mark in marks if kind == "searched"),
        uniform=tuple(mark for kind, mark in marks if kind == "uniform"),
        before=RoadMark(x(_drawn(result.before)), y(before), "the file as it came"),
        line=steps(_unbeaten([point for point in points if point.kind == "searched"]), x, y),
    )


def _drawn(score: ScoreTerms) -> float:
    return max(score.total, LEAST_SCORE)


def _mark(point: FrontPoint, x: Scale, y: Scale, looked: bool) -> RoadMark:
    title = f"{point.description}: score {point.score.total:.6f}, held-out top-1 {point.holdout.top1:.2%}"
    return RoadMark(x(_drawn(point.score)), y(point.holdout.top1), title, looked)


def _unbeaten(points: Sequence[FrontPoint]) -> Iterator[tuple[float, float]]:
    """Score and accuracy of those that no other beats in both, by rising score."""
    best = -1.0
    for point in sorted(points, key=lambda point: (point.score.total, -point.holdout.top1)):
        if point.holdout.top1 > best:
            best = point.holdout.top1
            yield _drawn(point.score), best
