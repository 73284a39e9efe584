"""The prune job: a network with fewer channels, in its layers' eigenbases, fine-tuned."""

from collections.abc import Iterator
from pathlib import Path

from micronet.contract import PruneResult, PruneSettings, PruningReport
from micronet.jobs.artifact import write_artifact
from micronet.jobs.context import Context, Stages
from micronet.jobs.learning import begin, own
from micronet.jobs.undone import undone_warnings
from micronet.pruning import stage

ARTIFACT = "pruned.onnx"
_SPARSE = 0.05
"""The share of zeros from which on a network was made sparse."""


def prune(settings: PruneSettings, checkpoint: Path, context: Context) -> PruneResult:
    """Prune the file's network. Raises MicronetError, each kind with what would be right."""
    context = own(context)
    stages = Stages(context.progress, ("read", "prune", *(("evaluate",) if settings.evaluate else ()), "write"))
    stages.begin("read")
    lesson = begin(settings, checkpoint, context)
    stages.begin("prune")
    graph, report = stage.prune(lesson.graph, settings, lesson.task)
    if settings.evaluate:
        stages.begin("evaluate")
    accuracy = lesson.measured(graph, context)
    stages.begin("write")
    return PruneResult(
        track=lesson.track.name,
        pruning=report,
        accuracy=accuracy,
        artifact=write_artifact(graph, ARTIFACT, context),
        scorer=lesson.scorer(),
        warnings=(*lesson.warnings, *prune_warnings(report)),
    )


def is_cheaper(report: PruningReport) -> bool:
    """Whether there are fewer non-zero parameters or multiplications than before, and not more of the other."""
    before, after = ((totals.nonzero, totals.multiplications) for totals in (report.before, report.after))
    return before != after and all(now <= once for once, now in zip(before, after, strict=True))


def prune_warnings(report: PruningReport) -> Iterator[str]:
    """What the owner of a pruned network should know about it."""
    if report.rounds and not report.kept_rounds:
        yield "the first round fell below the floor; the network is unchanged."
    yield from undone_warnings(report)
    if not report.rounds and report.came_apart is None:
        yield (
            "nothing was removed: no layer would get cheaper by what a round may remove, since rotations cost more "
            "than it saves. A larger ratio or layer_limit removes more at once; the network is unchanged."
        )
    elif report.kept_rounds and not is_cheaper(report):
        yield "the network is no cheaper than it came: not in non-zero parameters, and not in multiplications."
    before, after = (1 - totals.nonzero / max(1, totals.parameters) for totals in (report.before, report.after))
    if before >= _SPARSE and after < before / 2:
        yield (
            f"{before:.0%} of the parameters were zero before and {after:.0%} are now: pruning mixes the weights of a "
            "layer, and zeros among them are none any more. Prune first, then sparsify."
        )
