"""A pipeline's result, with names as attackers would choose them."""

from micronet.contract import (
    Accuracy,
    ArtifactFile,
    NetworkTotals,
    PipelineResult,
    Scorer,
    ScoreTerms,
    StageReport,
)

_SCORER = Scorer(version="1", torch="2", device="cpu", dataset=None, seed=0)


def stage(index: int, name: str, score: float, *, accepted: bool = True, correct: int | None = 350) -> StageReport:
    """One stage; `correct` of 360 test images, None where none were looked at."""
    return StageReport(
        index=index,
        stage=name,
        accepted=accepted,
        totals=NetworkTotals(parameters=1000, nonzero=1000 - 100 * index, multiplications=5000, additions=4000),
        holdout=Accuracy(correct=90 + index, total=100, top1=(90 + index) / 100),
        accuracy=None if correct is None else Accuracy(correct=correct, total=360, top1=correct / 360),
        score=ScoreTerms(storage=score / 2, math=score / 2, total=score),
        artifact=ArtifactFile(name=f"{index}-{name}.onnx", sha256="a" * 64, size=100),
        report=None,
    )


def pipeline_text(*stages: StageReport, stopped: str | None = None, warning: str = "") -> str:
    """The text of a pipeline that did these stages."""
    last = stages[-1]
    return PipelineResult(
        track="digits",
        policy="report",
        stages=stages,
        stopped=stopped,
        accuracy=last.accuracy,
        teacher=stages[0].holdout,
        score=last.score,
        artifact=last.artifact,
        scorer=_SCORER,
        warnings=(warning,) if warning else (),
    ).model_dump_json()
