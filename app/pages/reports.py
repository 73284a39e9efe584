"""What jobs that make a network, and stages of pipelines, say of themselves: ready for the template of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.pages.drawings.learning import LearningDrawing, draw_learning
from micronet.contract import (
    AugmentResult,
    FuseResult,
    FusingReport,
    PipelineResult,
    PruneResult,
    PruningReport,
    QuantizeResult,
    QuantizingReport,
    SparsifyingReport,
    SparsifyResult,
    TrainingReport,
    TrainResult,
)

Report = TrainingReport | PruningReport | SparsifyingReport | FusingReport | QuantizingReport | AugmentResult
Made = TrainResult | PruneResult | SparsifyResult | FuseResult | QuantizeResult | AugmentResult
"""Answers of jobs that leave a file and a report."""


@dataclass(frozen=True, slots=True)
class ReportView:
    """A report: `drawing` of what was learned, None where nothing was; `said` is what its numbers alone do not say.

    `of`: after what names a table, where one page has the reports of several stages.
    """

    template: str
    report: Report
    drawing: LearningDrawing | None = None
    said: Sequence[str] = ()
    of: str = ""


@dataclass(frozen=True, slots=True)
class MadeView:
    """A job's answer and its report; `most` rows of lists that are as long as a network."""

    template = "results/made.html"
    result: Made
    part: ReportView
    most: int


def made_view(result: Made, most: int) -> MadeView:
    """The view of an answer."""
    return MadeView(result, report_view(_report_of(result)), most)


def report_view(report: Report) -> ReportView:
    """The view of a report."""
    match report:
        case TrainingReport():
            return ReportView("results/reports/training.html", report, draw_learning([report]))
        case PruningReport():
            drawing = _draw_rounds(report)
            return ReportView("results/reports/pruning.html", report, drawing, _said_of_pruning(report))
        case SparsifyingReport():
            drawing = _draw_rounds(report)
            return ReportView("results/reports/sparsifying.html", report, drawing)
        case QuantizingReport():
            drawing = draw_learning([report.training]) if report.training else None
            return ReportView("results/reports/quantizing.html", report, drawing)
        case FusingReport():
            return ReportView("results/reports/fusing.html", report)
        case AugmentResult():
            return ReportView("results/reports/augmenting.html", report)


def stage_views(result: PipelineResult) -> Sequence[tuple[str, ReportView]]:
    """The views of the reports of a pipeline's stages, by the names of the stages."""
    reported = [(f"{stage.index} {stage.stage}", stage.report) for stage in result.stages]
    return [(name, replace(report_view(report), of=f", stage {name}")) for name, report in reported if report]


def _report_of(result: Made) -> Report:
    match result:
        case TrainResult():
            return result.training
        case PruneResult():
            return result.pruning
        case SparsifyResult():
            return result.sparsifying
        case QuantizeResult():
            return QuantizingReport(merged=result.merged, tensors=result.tensors, training=result.training)
        case FuseResult() | AugmentResult():
            return result


def _draw_rounds(report: PruningReport | SparsifyingReport) -> LearningDrawing | None:
    """Rounds after those that were kept were undone."""
    undone = sum(turn.training is not None for turn in report.rounds[max(report.kept_rounds, 0) :])
    return draw_learning([turn.training for turn in report.rounds if turn.training], undone)


def _said_of_pruning(report: PruningReport) -> Sequence[str]:
    """What jobs of this version warn of by themselves, where one of an earlier version says nothing."""
    kept = report.rounds[: report.kept_rounds]
    gone = sum(turn.removed - turn.grown_back for turn in kept)
    spoken = all(turn.asked is not None for turn in kept)
    if spoken or gone <= 0 or report.after.parameters < report.before.parameters:
        return ()
    return (
        f"{gone:,} {'direction' if gone == 1 else 'directions'} went, and the network is no smaller: in no layer is "
        "what is left, with the rotations that it takes, cheaper than the layer as it was, so each is still computed "
        "whole. More has to go before a rotation pays for itself.",
    )
