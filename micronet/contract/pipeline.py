"""What a pipeline is asked with, a recipe of stages, and what it answers."""

import tomllib
from importlib import resources
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, model_validator

from micronet.contract.compression import Pruning, PruningReport, Sparsifying, SparsifyingReport
from micronet.contract.quantizing import Quantizing, QuantizingReport
from micronet.contract.results import Accuracy, ArtifactFile, FusingReport, NetworkTotals, Scorer, ScoreTerms
from micronet.contract.training import Distillation, FineTuning, LearningSettings, Training, TrainingReport
from micronet.contract.values import Name, Value

RecipeName = Literal["cifar100", "cifar100-teacher", "digits", "report"]
RECIPES: tuple[RecipeName, ...] = get_args(RecipeName)
"""Recipes that come with the library: micronet/recipes/NAME.toml."""
_SAID = Field(description="says which stage it is")


class TrainStage(Training):
    """Train."""

    stage: Annotated[Literal["train"], _SAID]


class PruneStage(Pruning):
    """Remove channels in the eigenbasis."""

    stage: Annotated[Literal["prune"], _SAID]


class SparsifyStage(Sparsifying):
    """Set small weights to zero."""

    stage: Annotated[Literal["sparsify"], _SAID]


class FuseStage(Value):
    """Merge what can be merged, remove what does nothing."""

    stage: Annotated[Literal["fuse"], _SAID]


class QuantizeStage(Quantizing):
    """Put weights and activations on their grids."""

    stage: Annotated[Literal["quantize"], _SAID]


Stage = Annotated[
    TrainStage | PruneStage | SparsifyStage | FuseStage | QuantizeStage,
    Field(discriminator="stage"),
]


class PipelineSettings(LearningSettings):
    """One stage after the other, each on the network the one before it left.

    The file of every stage that ended is kept, also where a later one fails or the job is canceled.

    recipe        one that comes with the library: its settings hold wherever no others are given beside it
    stages        in order; each says what `stage` it is, and what it may be told beside that
    distillation  for every stage that learns and names no teacher of its own; null: they have none
    floor         after every stage but training, the accuracy on held-out images under which a network is not passed on
    below         `stop`: the pipeline ends with the network before it; `step_back`: the stage is undone, the next one
                  goes on
    policy        that of the stages' scores
    """

    recipe: RecipeName | None = None
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=64)] = (
        TrainStage(stage="train"),
        PruneStage(stage="prune"),
        SparsifyStage(stage="sparsify"),
        FuseStage(stage="fuse"),
        QuantizeStage(stage="quantize"),
    )
    distillation: Distillation | None = None
    floor: Annotated[float, Field(ge=0, le=1)] | None = None
    below: Literal["stop", "step_back"] = "stop"
    policy: Literal["report", "challenge"] = "report"

    @property
    def names(self) -> tuple[str, ...]:
        """What its stages are called, and but for the ending their files: `1-train`, `2-prune`, ..."""
        return tuple(f"{index}-{stage.stage}" for index, stage in enumerate(self.stages, 1))

    @model_validator(mode="after")
    def _with_recipe(self) -> Self:
        """Not before validation: JSON would be Python's values by then, and strict about other things."""
        if self.recipe is not None:
            whole = type(self).model_validate(recipe(self.recipe))
            unset = type(self).model_fields.keys() - self.model_fields_set
            self.__dict__.update({name: getattr(whole, name) for name in unset})
        return self

    @model_validator(mode="after")
    def _taught(self) -> Self:
        if self.distillation is not None:
            self.__dict__["stages"] = tuple(_taught(stage, self.distillation) for stage in self.stages)
        return self

    @model_validator(mode="after")
    def _sparse_after_pruning(self) -> Self:
        names = [stage.stage for stage in self.stages]
        if "sparsify" in names and "prune" in names[names.index("sparsify") :]:
            raise ValueError(
                "stages: every prune comes before sparsify; it mixes the weights of a layer, and the zeros among them "
                "would be none any more"
            )
        return self

    @model_validator(mode="after")
    def _quantized_last(self) -> Self:
        early = [stage for stage in self.stages[:-1] if isinstance(stage, QuantizeStage)]
        if early:
            raise ValueError("stages: quantize comes last; learning would take weights off their grids again")
        return self


class StageReport(Value):
    """What a stage made of the network: sizes, accuracies, score, its file, and its own report.

    `index` counts from 1; 0 is the file the pipeline began with. `accepted` is false where a stage fell under the floor
    and was undone. The score is that of the file as the score job gives it, widths being the file's own and batch norms
    merged; `totals` are of the file as it is, with the batch norms that the next stage learns with. `accuracy` is the
    test set's.
    """

    index: int
    stage: Literal["start", "train", "prune", "sparsify", "fuse", "quantize"]
    accepted: bool
    totals: NetworkTotals
    holdout: Accuracy
    accuracy: Accuracy | None
    score: ScoreTerms
    artifact: ArtifactFile
    report: TrainingReport | PruningReport | SparsifyingReport | FusingReport | QuantizingReport | None


class PipelineResult(Value):
    """The answer of a pipeline; `artifact` is the file of the last stage that was accepted.

    `teacher` as in the answer of a train job.
    """

    track: str
    policy: Literal["report", "challenge"]
    stages: Annotated[tuple[StageReport, ...], Field(min_length=1)]
    stopped: Name | None
    accuracy: Accuracy | None
    teacher: Accuracy | None = None
    score: ScoreTerms
    artifact: ArtifactFile
    scorer: Scorer
    warnings: tuple[str, ...]


def _taught(stage: Stage, by: Distillation) -> Stage:
    """The stage as it is told, and, where it learns without a teacher, with this one."""
    match stage:
        case TrainStage(distillation=None):
            return stage.model_copy(update={"distillation": by})
        case (
            PruneStage(fine_tuning=FineTuning(distillation=None) as how)
            | SparsifyStage(fine_tuning=FineTuning(distillation=None) as how)
        ):
            return stage.model_copy(update={"fine_tuning": how.model_copy(update={"distillation": by})})
        case QuantizeStage(train=FineTuning(distillation=None) as how):
            return stage.model_copy(update={"train": how.model_copy(update={"distillation": by})})
    return stage


def recipe(name: str) -> dict[str, Any]:
    """The settings of a recipe that comes with the library."""
    return tomllib.loads(resources.files("micronet.recipes").joinpath(f"{name}.toml").read_text())
