"""The augment job: a policy of augmentation, searched for on the training images."""

import hashlib
from pathlib import Path

from micronet.contract import ArtifactFile, AugmentationPolicy, AugmentResult, AugmentSettings
from micronet.jobs.context import Context, Stages
from micronet.jobs.learning import begin, of_fresh, own
from micronet.training.augmentation.search import search, stages

ARTIFACT = "policy.json"


def augment(settings: AugmentSettings, checkpoint: Path | None, context: Context) -> AugmentResult:
    """Search with the file's network, or a fresh one. Raises MicronetError, each kind with what would be right."""
    context = own(context)
    announced = Stages(context.progress, ("read", *stages(settings), "write"))
    announced.begin("read")
    lesson = begin(settings, checkpoint, context)
    found = search(lesson.graph, of_fresh(settings) if checkpoint is None else settings, lesson.task, announced.begin)
    announced.begin("write")
    return AugmentResult(
        track=lesson.track.name,
        policy=found.policy,
        loss_without=found.loss_without,
        loss_with=found.loss_with,
        artifact=_written(found.policy, context),
        scorer=lesson.scorer(),
        warnings=lesson.warnings,
    )


def _written(policy: AugmentationPolicy, context: Context) -> ArtifactFile:
    data = (policy.model_dump_json(indent=2) + "\n").encode()
    if context.outputs is not None:
        (context.outputs / ARTIFACT).write_bytes(data)
    return ArtifactFile(name=ARTIFACT, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
