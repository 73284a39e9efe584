"""The table of jobs. Importing it needs no torch: a job's function is named by path and imported when first run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from micronet.contract import (
    AugmentResult,
    AugmentSettings,
    FuseResult,
    FuseSettings,
    JobSettings,
    OptimizeResult,
    OptimizeSettings,
    PipelineResult,
    PipelineSettings,
    PruneResult,
    PruneSettings,
    QuantizeResult,
    QuantizeSettings,
    ScoreResult,
    ScoreSettings,
    SparsifyResult,
    SparsifySettings,
    TrainResult,
    TrainSettings,
    Value,
)
from micronet.jobs.context import Context

Lane = Literal["short", "long"]
"""Minutes, or up to days: a worker says which it takes, so that nobody waits behind a week of training."""

START = "0-start"
"""What is in the place of a stage's name where a pipeline keeps the file that it began with."""


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of job.

    settings, result   what it is asked with, what it answers
    entry              "module:function" of `(settings, checkpoint, context) -> result`
    lane               how long it may take, and
    long_with          the setting that makes it long where it is not null, None where no setting does
    summary            one line for people
    artifact           name of the file it makes; none where it makes none, or one of each stage
    file               whether it needs a checkpoint, or can do without one (and then starts from `architecture`)
    needs_device       whether it computes on the device of its context; a worker whose GPU is gone does the others
    """

    settings: type[JobSettings]
    result: type[Value]
    entry: str
    lane: Lane
    summary: str
    artifact: str = ""
    file: Literal["needed", "optional"] = "needed"
    long_with: str | None = None
    needs_device: bool = True

    def lane_of(self, settings: JobSettings) -> Lane:
        """How long the job with these settings may take."""
        return "long" if self.long_with and getattr(settings, self.long_with) is not None else self.lane

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """Every lane that such a job may be in."""
        return (self.lane,) if self.long_with is None else (self.lane, "long")

    def artifacts(self, settings: JobSettings) -> tuple[str, ...]:
        """Names of the files that the job with these settings may make."""
        if isinstance(settings, PipelineSettings):
            return tuple(f"{name}.onnx" for name in (START, *settings.names))
        return (self.artifact,) if self.artifact else ()

    @property
    def leaves_files(self) -> bool:
        """Whether its answer names an artifact."""
        return "artifact" in self.result.model_fields

    def run(self, settings: JobSettings, checkpoint: Path | None, context: Context) -> Any:
        """Do it: a value of type `result`; artifacts are the files it leaves in `context.outputs`.

        Raises MicronetError, each kind with what would be right.
        """
        return load(self.entry)(settings, checkpoint, context)


def load(entry: str) -> Callable[..., Any]:
    """The function called "module:function"."""
    module, _, name = entry.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


JOBS: Mapping[str, Job] = {
    "score": Job(
        ScoreSettings,
        ScoreResult,
        entry="micronet.jobs.score:score",
        lane="short",
        summary="Quantize, fuse, count, measure accuracy: a MicroNet score derived from the weights",
    ),
    "count": Job(
        ScoreSettings,
        ScoreResult,
        entry="micronet.jobs.score:count_network",
        lane="short",
        summary="Count what a network costs, without data and so without accuracy: the score it would have",
        file="optional",
        needs_device=False,
    ),
    "quantize": Job(
        QuantizeSettings,
        QuantizeResult,
        entry="micronet.jobs.quantize:quantize",
        lane="short",
        summary="Put weights and activations on fixed-point grids: quantized.onnx, and the error of every tensor",
        artifact="quantized.onnx",
        long_with="train",
    ),
    "fuse": Job(
        FuseSettings,
        FuseResult,
        entry="micronet.jobs.fuse:fuse",
        lane="short",
        summary="Merge batch norms, fold constants, drop what does nothing: fused.onnx, and what it saves",
        artifact="fused.onnx",
        needs_device=False,
    ),
    "train": Job(
        TrainSettings,
        TrainResult,
        entry="micronet.jobs.train:train",
        lane="long",
        summary="Train a network, the file's or a fresh one: trained.onnx, and every epoch's loss and accuracy",
        artifact="trained.onnx",
        file="optional",
    ),
    "prune": Job(
        PruneSettings,
        PruneResult,
        entry="micronet.jobs.prune:prune",
        lane="long",
        summary="Remove channels in the Kronecker-factored eigenbasis and fine-tune: pruned.onnx, smaller for good",
        artifact="pruned.onnx",
    ),
    "augment": Job(
        AugmentSettings,
        AugmentResult,
        entry="micronet.jobs.augment:augment",
        lane="long",
        summary="Search a policy of augmentation (Fast AutoAugment): policy.json, and the loss with and without it",
        artifact="policy.json",
        file="optional",
    ),
    "sparsify": Job(
        SparsifySettings,
        SparsifyResult,
        entry="micronet.jobs.sparsify:sparsify",
        lane="long",
        summary="Set the smallest weights to zero, round by round, fine-tuning after each: sparse.onnx",
        artifact="sparse.onnx",
    ),
    "optimize": Job(
        OptimizeSettings,
        OptimizeResult,
        entry="micronet.jobs.optimize:optimize",
        lane="long",
        summary="Find the lowest score that keeps a floor: optimized.onnx, its proofs and the road there",
        artifact="optimized.onnx",
    ),
    "pipeline": Job(
        PipelineSettings,
        PipelineResult,
        entry="micronet.jobs.pipeline:pipeline",
        lane="long",
        summary="Train, prune, sparsify, fuse, quantize by a recipe: every stage's network, accuracy and score",
        file="optional",
    ),
}
"""One row per kind of job."""
