"""The augment job: a policy of augmentation, searched for on the training images."""

from pathlib import Path

from micronet.contract import AugmentResult, AugmentSettings
from micronet.jobs.artifact import write_file
from micronet.jobs.context import Context, Stages
from micronet.jobs.learning import begin, of_fresh, own
from micronet.jobs.table import JOBS
from micronet.training.augmentation.search import search, stages


def augment(settings: AugmentSettings, checkpoint: Path | None, context: Context) -> AugmentResult:
    """Search with the file's network, or a fresh one. Raises MicronetError, each kind with what would be right."""
    context = own(context)
    announced = Stages(context.progress, ("read", *stages(settings), "write"))
    announced.begin("read")
    lesson = begin(settings, checkpoint, context, is_written=False)
    found = search(lesson.graph, of_fresh(settings) if checkpoint is None else settings, lesson.task, announced.begin)
    announced.begin("write")
    data = (found.policy.model_dump_json(indent=2) + "\n").encode()
    return AugmentResult(
        track=lesson.track.name,
        policy=found.policy,
        loss_without=found.without.loss,
        loss_with=found.with_policy.loss,
        accuracy_without=found.without.accuracy,
        accuracy_with=found.with_policy.accuracy,
        artifact=write_file(data, JOBS["augment"].artifact, context),
        scorer=lesson.scorer(),
        warnings=lesson.warnings,
    )
