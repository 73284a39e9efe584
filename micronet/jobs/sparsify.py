"""The sparsify job: the file's network with many of its weights zero, and how each round went."""

from pathlib import Path

from micronet.contract import SparsifyResult, SparsifySettings
from micronet.jobs.artifact import write_artifact
from micronet.jobs.context import Context, Stages
from micronet.jobs.learning import begin, own
from micronet.jobs.undone import undone_warnings
from micronet.sparsity.stage import sparsify as make_sparse

ARTIFACT = "sparse.onnx"


def sparsify(settings: SparsifySettings, checkpoint: Path, context: Context) -> SparsifyResult:
    """Sparsify the network of the file at `checkpoint`. Raises MicronetError, each kind with what would be right."""
    context = own(context)
    stages = Stages(context.progress, ("read", "sparsify", *(("evaluate",) if settings.evaluate else ()), "write"))
    stages.begin("read")
    lesson = begin(settings, checkpoint, context)
    stages.begin("sparsify")
    graph, report = make_sparse(lesson.graph, settings, lesson.task)
    if settings.evaluate:
        stages.begin("evaluate")
    accuracy = lesson.measured(graph, context)
    stages.begin("write")
    artifact = write_artifact(graph, ARTIFACT, context)
    warnings = (*lesson.warnings, *undone_warnings(report))
    if not report.rounds and report.came_apart is None:
        which = "outside keep_layers " if settings.keep_layers else ""
        warnings += (
            f"{which}the network came with all the zeros that sparsity {settings.sparsity:g} asks for: "
            "it is unchanged.",
        )
    elif report.rounds and not report.kept_rounds:
        warnings += (f"the first round fell below the floor of {settings.floor:g}; the network is unchanged.",)
    return SparsifyResult(
        track=lesson.track.name,
        sparsifying=report,
        accuracy=accuracy,
        artifact=artifact,
        scorer=lesson.scorer(),
        warnings=warnings,
    )
