"""The prune job: a network with fewer channels, in its layers' eigenbases, fine-tuned."""

from pathlib import Path

from micronet.contract import PruneResult, PruneSettings
from micronet.jobs.artifact import write_artifact
from micronet.jobs.context import Context, Stages
from micronet.jobs.learning import begin, own
from micronet.pruning import stage

ARTIFACT = "pruned.onnx"


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
        warnings=lesson.warnings,
    )
