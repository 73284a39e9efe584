"""The train job: a network, and how each epoch went."""

from pathlib import Path

from micronet.contract import TrainResult, TrainSettings
from micronet.jobs.artifact import write_artifact
from micronet.jobs.context import Context, Stages
from micronet.jobs.learning import begin, of_fresh, own
from micronet.training import fit

ARTIFACT = "trained.onnx"


def train(settings: TrainSettings, checkpoint: Path | None, context: Context) -> TrainResult:
    """Train the file's network, or a fresh one. Raises MicronetError, each kind with what would be right.

    Started several times by `torchrun`, the processes train together, each on its share of every batch.
    """
    context = own(context)
    stages = Stages(context.progress, ("read", "train", *(("evaluate",) if settings.evaluate else ()), "write"))
    stages.begin("read")
    lesson = begin(settings, checkpoint, context)
    stages.begin("train")
    graph, report = fit.train(lesson.graph, of_fresh(settings) if checkpoint is None else settings, lesson.task)
    if settings.evaluate:
        stages.begin("evaluate")
    accuracy = lesson.measured(graph, context)
    stages.begin("write")
    return TrainResult(
        track=lesson.track.name,
        training=report,
        accuracy=accuracy,
        artifact=write_artifact(graph, ARTIFACT, context),
        scorer=lesson.scorer(),
        warnings=lesson.warnings,
    )
