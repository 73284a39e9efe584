"""How learning went: the loss of every epoch, and correct answers on held-out images after it, round after round."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.pages.drawings.scale import Scale, around, written
from app.pages.formats import number, percent
from micronet.contract import EpochReport, TrainingReport

_WHOLE = 100.0
_MOST_POINTS = 400
"""Of a line: more than a screen shows."""
_MOST_MARKED = 30
_Places = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """A line in percent of its picture; `ticks` are (place, text). `lone` is a single point, which makes no line."""

    line: str
    ticks: tuple[tuple[float, str], ...]
    lone: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class LearningDrawing:
    """Both panels over one axis of epochs, and the same in words. `rounds` are the places where each began but the
    first, `kept` those of the epochs whose weights were kept; a round that was undone has none.
    """

    accuracy: Panel
    loss: Panel
    epochs: tuple[tuple[float, str], ...]
    rounds: tuple[float, ...]
    kept: tuple[tuple[float, float], ...]
    text: str


def draw_learning(reports: Sequence[TrainingReport], undone: int = 0) -> LearningDrawing | None:
    """The picture of one training, or of those of several rounds, one after the other; None where nobody learned.

    The last `undone` of them are drawn, and their weights were not kept.
    """
    epochs = sum(len(report.epochs) for report in reports)
    if not epochs:
        return None
    x = Scale(0, epochs, 0.0, _WHOLE)
    starts = [sum(len(report.epochs) for report in reports[:index]) for index in range(len(reports))]
    rounds = [
        [(start + index, top1) for index, top1 in enumerate(_answers(report))]
        for start, report in zip(starts, reports, strict=True)
    ]
    answered = [place for places in rounds for place in places]
    lost = [
        (start + index, epoch.loss)
        for start, report in zip(starts, reports, strict=True)
        for index, epoch in enumerate(report.epochs, 1)
    ]
    y = Scale(*around([top1 for _, top1 in answered]), _WHOLE, 0.0)
    loss_y = Scale(*around([loss for _, loss in lost]), _WHOLE, 0.0)
    kept = [
        (x(epoch), y(top1))
        for places, report in zip(rounds[: len(reports) - undone], reports, strict=False)
        for index, (epoch, top1) in enumerate(places)
        if index == report.kept
    ]
    return LearningDrawing(
        accuracy=Panel(_line(answered, x, y), tuple((y(tick), written(100 * tick)) for tick in y.ticks(5))),
        loss=Panel(
            _line(lost, x, loss_y),
            tuple((loss_y(tick), written(tick)) for tick in loss_y.ticks(5)),
            (x(lost[0][0]), loss_y(lost[0][1])) if len(lost) == 1 else None,
        ),
        epochs=tuple((x(tick), written(tick)) for tick in x.ticks(8) if tick == int(tick)),
        rounds=tuple(x(start) for start in starts[1:]) if len(reports) <= _MOST_MARKED else (),
        kept=tuple(kept) if len(reports) <= _MOST_MARKED else (),
        text=_text(reports, [epoch for report in reports for epoch in report.epochs], undone),
    )


def _line(values: _Places, x: Scale, y: Scale) -> str:
    """An SVG path through (epoch, value); of very many, evenly chosen ones, the last among them."""
    step = -(-len(values) // _MOST_POINTS)
    return _path((x(epoch), y(value)) for epoch, value in [*values[:-1:step], values[-1]])


def _path(places: Iterable[tuple[float, float]]) -> str:
    return "".join(f"{'L' if index else 'M'}{left} {up}" for index, (left, up) in enumerate(places))


def _answers(report: TrainingReport) -> tuple[float, ...]:
    """Top-1 on held-out images before the first epoch, and after each."""
    return report.before.top1, *(epoch.holdout.top1 for epoch in report.epochs)


def _text(reports: Sequence[TrainingReport], epochs: Sequence[EpochReport], undone: int) -> str:
    best = max(epochs, key=lambda epoch: epoch.holdout.top1)
    over = f"{number(len(epochs))} {'epoch' if len(epochs) == 1 else 'epochs'}"
    rounds = f" in {len(reports)} rounds" if len(reports) > 1 else ""
    last = (reports[: len(reports) - undone] or reports)[-1]
    return (
        f"Over {over}{rounds} the loss went from {epochs[0].loss:.4g} to {epochs[-1].loss:.4g}, and top-1 on held-out "
        f"images from {percent(reports[0].before.top1)} to {percent(last.after.top1)}; the best of any epoch is "
        f"{percent(best.holdout.top1)}.{_undone(undone, len(reports))}"
    )


def _undone(undone: int, of: int) -> str:
    if not undone:
        return ""
    if undone == of:
        return " All of it was undone."
    return " The last round was undone." if undone == 1 else f" The last {undone} rounds were undone."
