"""What the jobs that make a network smaller are asked with and what they answer: prune, sparsify."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from micronet.contract.results import Accuracy, ArtifactFile, NetworkTotals, Scorer
from micronet.contract.training import FineTuning, LearningSettings, TrainingReport
from micronet.contract.values import Name, Share, Value


class Pruning(Value):
    """Channel pruning in the Kronecker-factored eigenbasis (Wang et al. 2019), round by round.

    Directions go where they save most for the loss they cost. A layer that would not get cheaper, since the rotations
    around a slightly smaller core cost more than that saves, is left as it is: it may take a larger ratio. The layer
    that gives the answers loses inputs alone.

    ratio           most of the directions, of all layers together, that a round removes, and at no more loss than the
                    least salient ones of this share would cost, with a `compression` or without; fewer go where
                    fewer save anything, or those that do lose too much: later rounds remove less than the first
    layer_limit     most of a layer's own input directions, and of its output directions, that a round may remove; a
                    layer that would have to lose more to get cheaper loses none
    rounds          at most so many
    grow_back       share of what a round removed that comes back before the next one (the report's annealing), as far
                    as layers stay cheaper than they were
    compression     stop when this share of the parameters of the network as it came is gone; null: when rounds end.
                    A warning says where it was missed
    floor           stop before the accuracy on held-out images, after fine-tuning, falls below this; null: no floor
    factor_images   training images the Kronecker factors are estimated on
    fine_tuning     after every round
    """

    ratio: Annotated[float, Field(gt=0, lt=1)] = 0.2
    layer_limit: Annotated[float, Field(gt=0, lt=1)] = 0.8
    rounds: Annotated[int, Field(ge=1, le=1000)] = 1
    grow_back: Share = 0.0
    compression: Annotated[float, Field(gt=0, lt=1)] | None = None
    floor: Annotated[float, Field(ge=0, le=1)] | None = None
    factor_images: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    fine_tuning: FineTuning = FineTuning()


class PruneSettings(LearningSettings, Pruning):
    """Prune the file's network."""


class PrunedLayer(Value):
    """A layer in its eigenbasis: directions kept of those it had, of its inputs and of its outputs.

    `form` is how it is computed now: one layer, or the rotations that pay for themselves around a core.
    """

    name: str
    inputs: int
    kept_inputs: int
    outputs: int
    kept_outputs: int
    form: tuple[Literal["rotation_in", "core", "rotation_out"], ...]


class PruneRound(Value):
    """One round: sizes after it, and accuracy on held-out images before and after fine-tuning.

    `grown_back` directions came back at its beginning, then `removed` went, of the `asked` that `ratio` and
    `layer_limit` let go (null: of an earlier version). `totals` are those of the network with each layer in its
    cheapest form. `training` is null where there was no fine-tuning.
    """

    round: int
    asked: int | None = None
    removed: int
    grown_back: int
    totals: NetworkTotals
    before_tuning: Accuracy
    training: TrainingReport | None


class PruningReport(Value):
    """How pruning went. `kept_rounds` rounds count; a round that fell below the floor was undone.

    So was, after those of `rounds`, one that gave numbers that are not finite: `came_apart` says why; null: none did.
    `left_alone` names grouped and depthwise convolutions, layers of quantized or shared weights, and products that are
    not written as a layer. `compression` is what was asked for; null: nothing was, or not of this version.
    """

    before: NetworkTotals
    after: NetworkTotals
    before_accuracy: Accuracy
    after_accuracy: Accuracy
    rounds: tuple[PruneRound, ...]
    kept_rounds: int
    layers: tuple[PrunedLayer, ...]
    left_alone: tuple[str, ...]
    came_apart: str | None = None
    compression: float | None = None


class PruneResult(Value):
    """The answer of a prune job; `teacher` as in that of a train job."""

    track: str
    pruning: PruningReport
    accuracy: Accuracy | None
    teacher: Accuracy | None = None
    artifact: ArtifactFile
    scorer: Scorer
    warnings: tuple[str, ...]


class Sparsifying(Value):
    """Magnitude pruning of single weights, to `sparsity` in `rounds` steps (Zhu and Gupta 2017: cubic).

    rounds       steps to that share, each followed by fine-tuning
    sparsity     share of zeros among the weights of convolutions and products, biases and `keep_layers` aside
    scope        `global`: the smallest of all weights go; `layer`: the same share in each; `normalized`: the smallest
                 of all after each layer's were divided by their root mean square
    keep_layers  layers, by their name or that of their weight, that stay as they are
    floor        accuracy on held-out images, after fine-tuning, below which a round is undone, and is the last
    fine_tuning  after every round; with no epochs, or no steps, there is none
    """

    sparsity: Annotated[float, Field(gt=0, lt=1)] = 0.5
    rounds: Annotated[int, Field(ge=1, le=1000)] = 1
    scope: Literal["global", "layer", "normalized"] = "global"
    keep_layers: Annotated[tuple[Name, ...], Field(max_length=1000)] = ()
    floor: Annotated[float, Field(ge=0, le=1)] | None = None
    fine_tuning: FineTuning = FineTuning()

    @model_validator(mode="after")
    def _zeros_are_held(self) -> Self:
        if not self.fine_tuning.hold_zeros:
            raise ValueError("fine_tuning.hold_zeros: it has to be true, or fine-tuning fills the zeros again")
        return self


class SparsifySettings(LearningSettings, Sparsifying):
    """Set small weights of the file's network to zero."""


class SparsifiedLayer(Value):
    """A layer's weights, and how many of them are not zero."""

    name: str
    weights: int
    nonzero: int


class SparsifyRound(Value):
    """One round: the share of zeros it went for, and accuracy on held-out images before and after fine-tuning."""

    round: int
    sparsity: float
    before_tuning: Accuracy
    training: TrainingReport | None


class SparsifyingReport(Value):
    """How it went. `kept_rounds` rounds count; one that fell below the floor was undone.

    So was, after those of `rounds`, one that gave numbers that are not finite: `came_apart` says why; null: none did.
    """

    before: NetworkTotals
    after: NetworkTotals
    before_accuracy: Accuracy
    after_accuracy: Accuracy
    rounds: tuple[SparsifyRound, ...]
    kept_rounds: int
    layers: tuple[SparsifiedLayer, ...]
    came_apart: str | None = None


class SparsifyResult(Value):
    """The answer of a sparsify job; `teacher` as in that of a train job."""

    track: str
    sparsifying: SparsifyingReport
    accuracy: Accuracy | None
    teacher: Accuracy | None = None
    artifact: ArtifactFile
    scorer: Scorer
    warnings: tuple[str, ...]
