"""What an optimize job leaves, with names as attackers would choose them."""

from typing import Literal

from micronet.contract import (
    Accuracy,
    ArtifactFile,
    FrontPoint,
    OptimizedLayer,
    OptimizeResult,
    ScoreResult,
    ScoreTerms,
    TestLook,
)
from tests.app.http.results import score_text


def network(kind: Literal["searched", "uniform"], score: float, right: int, description: str = "") -> FrontPoint:
    """A network that answers `right` of 1000 held-out images."""
    return FrontPoint(
        kind=kind,
        description=description or f"{kind} {score:g}",
        holdout=Accuracy(correct=right, total=1000, top1=right / 1000),
        agreement=0.97,
        loss=0.01,
        hard=Accuracy(correct=right - 50, total=1000, top1=(right - 50) / 1000),
        hard_agreement=0.95,
        score=ScoreTerms(storage=score / 2, math=score / 2, total=score),
    )


def optimized(*points: FrontPoint, looks: tuple[int, ...], layer: str = "fc", warning: str = "") -> OptimizeResult:
    """The result of a road of these points; all `looks` but the last fell under the floor."""
    score = ScoreResult.model_validate_json(score_text(345, 0.4))
    assert score.accuracy is not None
    return OptimizeResult(
        track="digits",
        floor=342,
        before=ScoreTerms(storage=1.0, math=1.0, total=2.0),
        before_accuracy=Accuracy(correct=352, total=360, top1=352 / 360),
        mixing=0.2,
        holdout_before=Accuracy(correct=910, total=1000, top1=0.91),
        hard_mixing=0.27,
        hard_before=Accuracy(correct=860, total=1000, top1=0.86),
        front=points,
        looks=tuple(
            TestLook(
                point=index,
                accuracy=Accuracy(correct=341, total=360, top1=341 / 360) if index != looks[-1] else score.accuracy,
                kept_floor=index == looks[-1],
            )
            for index in looks
        ),
        uniform_looks=(),
        layers=(
            OptimizedLayer(
                name=layer, weight_bits=4, input_bits=7, weights=320, nonzero=123, accumulator_bits=(13, 11, 12)
            ),
        ),
        score=score,
        artifact=ArtifactFile(name="optimized.onnx", sha256="a" * 64, size=100),
        scorer=score.scorer,
        warnings=(warning,) if warning else (),
    )
