"""Accuracy against score: every entry, those that no other beats in both, the floor, and what was published."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.pages.drawings.plane import Plane, scales_around, steps
from app.pages.drawings.scale import Scale
from app.printable import on_one_line
from micronet.tracks import Published, Track
from worker.records.points import Point

_LEAST_SPAN = 0.02
_FACTOR = 10.0
"""How far beyond the best, and the worst that nothing beats, scores are drawn where they are."""
Edge = Literal["below", "left", "right"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A point, in percent of the plane, and what it says; `address` is the entry's page.

    `qualifies` chooses its shape; `edge` says beyond which of the edges it lies, None where it is in its place.
    """

    x: float
    y: float
    title: str
    qualifies: bool = True
    edge: Edge | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class FrontDrawing(Plane):
    """The picture; `steps` is the Pareto front as an SVG path, `unknown` published scores without an accuracy."""

    marks: tuple[Mark, ...]
    published: tuple[Mark, ...]
    unknown: tuple[Mark, ...]
    steps: str
    floor: float
    floor_text: str

    @property
    def beyond(self) -> int:
        """How many entries lie beyond an edge."""
        return sum(mark.edge is not None for mark in self.marks)


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is competitive: accuracies down to `lowest`, scores from `left` to `right`."""

    lowest: float
    left: float
    right: float

    def edge(self, score: float, top1: float) -> Edge | None:
        """Beyond which a point lies."""
        if top1 < self.lowest:
            return "below"
        return "left" if score < self.left else "right" if score > self.right else None


def draw_front(
    points: Sequence[Point], front: Sequence[Point], track: Track, published: Sequence[Published]
) -> FrontDrawing | None:
    """The picture of a board; None where there is nothing to show.

    One entry far from all others does not take their room: what is not competitive is drawn at the edge.
    """
    shown = [point for point in _with(points, front) if point.score > 0]
    if not shown and not published:
        return None
    frame = _frame(shown, front, track, published)
    inside = [point for point in shown if frame.edge(point.score, _top1(point)) is None]
    known = [(row, row.top1) for row in published if row.top1 is not None]
    heights = [*map(_top1, inside), *(top1 for _, top1 in known), track.threshold]
    x, y = scales_around(
        [*(point.score for point in inside), *(row.score for row in published)],
        [*heights, max(heights) + _LEAST_SPAN / 2, min(heights) - _LEAST_SPAN / 2],
    )
    ordered = sorted((point for point in inside if point in front), key=lambda point: point.score)
    return FrontDrawing(
        x=x,
        y=y,
        marks=tuple(_mark(point, frame, x, y) for point in shown),
        published=tuple(
            Mark(x(row.score), y(top1), f"{row.entrant} ({row.year}): {row.score:.4f}, {top1:.2%}")
            for row, top1 in known
        ),
        unknown=tuple(
            Mark(x(row.score), y.start, f"{row.entrant} ({row.year}): {row.score:.4f}")
            for row in published
            if row.top1 is None
        ),
        steps=steps(((point.score, _top1(point)) for point in ordered), x, y),
        floor=y(track.threshold),
        floor_text=f"floor {track.threshold:.2%}",
    )


def _with(points: Sequence[Point], front: Sequence[Point]) -> list[Point]:
    """The points, and those of the front that are not among them: the line has to lead somewhere."""
    drawn = {point.job_id for point in points}
    return [*points, *(point for point in front if point.job_id not in drawn)]


def _frame(shown: Sequence[Point], front: Sequence[Point], track: Track, published: Sequence[Published]) -> _Frame:
    """As much below the floor as the best is above it; and ten times beyond the best score, and the worst of the front.

    Where nothing reaches the floor, whatever there is competes.
    """
    rivals = [point for point in shown if point.qualifies] or shown
    top1s = [*(_top1(point) for point in rivals), *(row.top1 for row in published if row.top1 is not None)]
    above = max(top1s, default=track.threshold) - track.threshold
    known = [row.score for row in published]
    scores = [*(point.score for point in rivals), *known]
    unbeaten = [*(point.score for point in front if point.score > 0), *known] or [_FACTOR * min(scores)]
    lowest = track.threshold - max(_LEAST_SPAN, above) if above > 0 else min(top1s, default=track.threshold)
    return _Frame(lowest, min(scores) / _FACTOR, _FACTOR * max(unbeaten))


def _top1(point: Point) -> float:
    return point.correct / point.images


def _mark(point: Point, frame: _Frame, x: Scale, y: Scale) -> Mark:
    edge, top1 = frame.edge(point.score, _top1(point)), _top1(point)
    whose = f" ({on_one_line(point.team)})" if point.team else ""
    name = on_one_line(point.name or f"entry {point.job_id[:8]}")
    return Mark(
        x(min(max(point.score, x.low), x.high)),
        y(min(max(top1, y.low), y.high)),
        f"{name}{whose}: score {point.score:.6f}, top-1 {top1:.2%}",
        point.qualifies,
        edge,
        f"/ui/entries/{point.job_id}",
    )
