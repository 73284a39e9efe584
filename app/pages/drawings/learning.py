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
    """A line in percent of its picture; `ticks` are (place, text)."""

    line: str
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class LearningDrawing:
    """Both panels over one axis of epochs, and the same in words. `rounds` are the places where each began but the
    first, `kept` those of the epochs whose weights were kept.
    """

    accuracy: Panel
    loss: Panel
    epochs: tuple[tuple[float, str], ...]
    rounds: tuple[float, ...]
    kept: tuple[tuple[float, float], ...]
    text: str


def draw_learning(reports: Sequence[TrainingReport]) -> LearningDrawing | None:
    """The picture of one training, or of those of several rounds, one after the other; None where nobody learned."""
    epochs = sum(len(report.epochs) for report in reports)
    if not epochs:
        return None
    x = Scale(0, epochs, 0.0, _WHOLE)
    starts = [sum(len(report.epochs) for report in reports[:index]) for index in range(len(reports))]
    answered = [
        (start + index, top1)
        for start, report in zip(starts, reports, strict=True)
        for index, top1 in enumerate((report.before.top1, *(epoch.holdout.top1 for epoch in report.epochs)))
    ]
    lost = [
        (start + index, epoch.loss)
        for start, report in zip(starts, reports, strict=True)
        for index, epoch in enumerate(report.epochs, 1)
    ]
    y = Scale(*around([top1 for _, top1 in answered]), _WHOLE, 0.0)
    loss_y = Scale(*around([loss for _, loss in lost]), _WHOLE, 0.0)
    kept = [(x(start + report.kept), y(_top1(report))) for start, report in zip(starts, reports, strict=True)]
    return LearningDrawing(
        accuracy=Panel(_line(answered, x, y), tuple((y(tick), written(100 * tick)) for tick in y.ticks(5))),
        loss=Panel(_line(lost, x, loss_y), tuple((loss_y(tick), written(tick)) for tick in loss_y.ticks(5))),
        epochs=tuple((x(tick), written(tick)) for tick in x.ticks(8) if tick == int(tick)),
        rounds=tuple(x(start) for start in starts[1:]) if len(reports) <= _MOST_MARKED else (),
        kept=tuple(kept) if len(reports) <= _MOST_MARKED else (),
        text=_text(reports, [epoch for report in reports for epoch in report.epochs]),
    )


def _line(values: _Places, x: Scale, y: Scale) -> str:
    """An SVG path through (epoch, value); of very many, evenly chosen ones, the last among them."""
    step = -(-len(values) // _MOST_POINTS)
    return _path((x(epoch), y(value)) for epoch, value in [*values[:-1:step], values[-1]])


def _path(places: Iterable[tuple[float, float]]) -> str:
    return "".join(f"{'L' if index else 'M'}{left} {up}" for index, (left, up) in enumerate(places))


def _top1(report: TrainingReport) -> float:
    """Of the weights that were kept, after the epoch `kept`."""
    return report.epochs[report.kept - 1].holdout.top1 if report.kept else report.before.top1


def _text(reports: Sequence[TrainingReport], epochs: Sequence[EpochReport]) -> str:
    best = max(epochs, key=lambda epoch: epoch.holdout.top1)
    over = f"{number(len(epochs))} {'epoch' if len(epochs) == 1 else 'epochs'}"
    rounds = f" in {len(reports)} rounds" if len(reports) > 1 else ""
    return (
        f"Over {over}{rounds} the loss went from {epochs[0].loss:.4g} to {epochs[-1].loss:.4g}, and top-1 on held-out "
        f"images from {percent(reports[0].before.top1)} to {percent(reports[-1].after.top1)}; the best of any epoch is "
        f"{percent(best.holdout.top1)}."
    )
