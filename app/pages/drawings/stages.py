"""From stage to stage of a pipeline: accuracy above, score below, undone stages marked."""

from dataclasses import dataclass

from app.pages.drawings.scale import LEAST_SCORE, Scale, around, around_logarithmic, written
from micronet.contract import PipelineResult, StageReport
from micronet.tracks import Track

WIDTH, HEIGHT = 960, 446
_LEFT, _RIGHT = 62.0, 24.0
_ACCURACY, _SCORE = (44.0, 196.0), (260.0, 402.0)
"""Top and bottom of the two panels."""
_MOST_NAMED = 12


@dataclass(frozen=True, slots=True)
class StagePoint:
    """A stage in pixels; `accepted` chooses its shape."""

    x: float
    accuracy_y: float
    score_y: float
    label: str
    accuracy: str
    score: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class StagesDrawing:
    """Both panels; lines lead through the stages that were accepted. `floor` is the track's, not the pipeline's."""

    points: tuple[StagePoint, ...]
    accuracy_line: str
    score_line: str
    accuracy_ticks: tuple[tuple[float, str], ...]
    score_ticks: tuple[tuple[float, str], ...]
    floor: float | None
    floor_text: str
    measured: str
    width: int = WIDTH
    height: int = HEIGHT
    left: float = _LEFT
    right: float = WIDTH - _RIGHT


def draw_stages(result: PipelineResult, track: Track | None) -> StagesDrawing:
    """The picture of a pipeline. Accuracy is the test set's where every stage has it, else that on held-out images."""
    stages = result.stages
    tested = all(stage.accuracy is not None for stage in stages)
    top1s = [_top1(stage, tested) for stage in stages]
    scores = [max(stage.score.total, LEAST_SCORE) for stage in stages]
    floor = track.threshold if track is not None and tested else None
    accuracy = Scale(*around(top1s if floor is None else [*top1s, floor]), _ACCURACY[1], _ACCURACY[0])
    score = Scale(*around_logarithmic(scores), _SCORE[1], _SCORE[0], logarithmic=True)
    place = Scale(-0.5, len(stages) - 0.5, _LEFT, WIDTH - _RIGHT)
    points = tuple(
        StagePoint(
            place(index),
            accuracy(top1),
            score(shown),
            f"{stage.index} {stage.stage}" if len(stages) <= _MOST_NAMED else str(stage.index),
            f"{top1:.2%}",
            f"{stage.score.total:.4g}",
            stage.accepted,
        )
        for index, (stage, top1, shown) in enumerate(zip(stages, top1s, scores, strict=True))
    )
    kept = [point for point in points if point.accepted]
    return StagesDrawing(
        points,
        " ".join(f"{point.x},{point.accuracy_y}" for point in kept),
        " ".join(f"{point.x},{point.score_y}" for point in kept),
        tuple((accuracy(value), written(100 * value)) for value in accuracy.ticks(5)),
        tuple((score(value), written(value)) for value in score.ticks()),
        None if floor is None else accuracy(floor),
        "" if floor is None else f"floor of the track {floor:.2%}",
        "test images" if tested else "held-out training images",
    )


def _top1(stage: StageReport, tested: bool) -> float:
    if tested and stage.accuracy is not None:
        return stage.accuracy.top1
    return stage.holdout.top1
