"""Accuracy against score: every entry, those that no other beats in both, the floor, and what was published."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.pages.drawings.plane import Plane, scales_around, steps
from app.pages.drawings.scale import Scale
from micronet.tracks import Published, Track
from worker.records.points import Point

_LEAST_SPAN = 0.02


@dataclass(frozen=True, slots=True)
class Mark:
    """A point, in percent of the plane, and what it says. `qualifies` chooses its shape."""

    x: float
    y: float
    title: str
    qualifies: bool = True


@dataclass(frozen=True, slots=True)
class FrontDrawing(Plane):
    """The picture; `steps` is the Pareto front as an SVG path, `unknown` published scores without an accuracy."""

    marks: tuple[Mark, ...]
    published: tuple[Mark, ...]
    unknown: tuple[Mark, ...]
    steps: str
    floor: float
    floor_text: str


def draw_front(
    points: Sequence[Point], front: Sequence[Point], track: Track, published: Sequence[Published]
) -> FrontDrawing | None:
    """The picture of a board; None where there is nothing to show."""
    shown = [point for point in _with(points, front) if point.score > 0]
    scores = [*(point.score for point in shown), *(row.score for row in published)]
    if not scores:
        return None
    x, y = _scales(scores, [point.correct / point.images for point in shown], track, published)
    ordered = sorted((point for point in front if point.score > 0), key=lambda point: point.score)
    known = [row for row in published if row.top1 is not None]
    return FrontDrawing(
        x=x,
        y=y,
        marks=tuple(_mark(point, x, y) for point in shown),
        published=tuple(
            Mark(
                x(row.score),
                y(row.top1),
                f"{row.entrant} ({row.year}): {row.score:.4f}, {row.top1:.2%}",
            )
            for row in known
            if row.top1 is not None
        ),
        unknown=tuple(
            Mark(x(row.score), y.start, f"{row.entrant} ({row.year}): {row.score:.4f}")
            for row in published
            if row.top1 is None
        ),
        steps=steps(((point.score, point.correct / point.images) for point in ordered), x, y),
        floor=y(track.threshold),
        floor_text=f"floor {track.threshold:.2%}",
    )


def _with(points: Sequence[Point], front: Sequence[Point]) -> list[Point]:
    """The points, and those of the front that are not among them: the line has to lead somewhere."""
    drawn = {point.job_id for point in points}
    return [*points, *(point for point in front if point.job_id not in drawn)]


def _scales(
    scores: Sequence[float], top1s: Sequence[float], track: Track, published: Sequence[Published]
) -> tuple[Scale, Scale]:
    known = [row.top1 for row in published if row.top1 is not None]
    heights = [*top1s, *known, track.threshold]
    return scales_around(scores, [*heights, max(heights) + _LEAST_SPAN / 2, min(heights) - _LEAST_SPAN / 2])


def _mark(point: Point, x: Scale, y: Scale) -> Mark:
    top1 = point.correct / point.images
    return Mark(x(point.score), y(top1), f"score {point.score:.6f}, top-1 {top1:.2%}", point.qualifies)
