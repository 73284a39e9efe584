"""What the jobs that train are asked with and what they answer; and a policy of augmentation, which is data."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictBool, ValidationInfo, field_validator, model_validator

from micronet.contract.results import Accuracy, ArtifactFile, Scorer
from micronet.contract.settings import ArchitectureSettings, JobSettings, Normalization
from micronet.contract.values import Name, Seed, Sha256, Share, Value

Magnitude = Annotated[float, Field(ge=0, le=1)]
MOST_LISTS = 512
"""Of operations, in one policy."""
Probability = Annotated[float, Field(ge=0, le=1)]
OperationName = Literal[
    "identity",
    "auto_contrast",
    "equalize",
    "invert",
    "rotate",
    "posterize",
    "solarize",
    "color",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "cutout",
]


class AugmentationOperation(Value):
    """One operation on an image.

    operation    which
    probability  with which it is done
    magnitude    0..1, its strength within the operation's own range
    """

    operation: OperationName
    probability: Probability = 1.0
    magnitude: Magnitude = 0.5


class AugmentationPolicy(Value):
    """A policy as data (Cubuk et al. 2019), such as the artifact of an augment job.

    policies  lists of operations: each image gets one of them, drawn evenly, whose operations are done in order
    """

    policies: Annotated[
        tuple[Annotated[tuple[AugmentationOperation, ...], Field(min_length=1, max_length=8)], ...],
        Field(min_length=1, max_length=MOST_LISTS),
    ]


class Augmentation(Value):
    """What is done to a training image: a shift, a flip, then a policy, or none.

    crop    pixels it is shifted by at most; zeros come in
    flip    left to right, each image with probability 1/2
    policy  `trivial` is TrivialAugment (Mueller and Hutter 2021): one operation and its strength, both drawn evenly
    cutout  side in pixels of a square of zeros put last (DeVries and Taylor 2017); 0 puts none
    """

    crop: Annotated[int, Field(ge=0, le=64)] = 4
    flip: bool = True
    policy: Literal["none", "trivial"] | AugmentationPolicy = "trivial"
    cutout: Annotated[int, Field(ge=0, le=512)] = 0


NO_AUGMENTATION = Augmentation(crop=0, flip=False, policy="none")


class Distillation(Value):
    """Learning from a teacher as well (Hinton et al. 2015).

    teacher       SHA-256 of its checkpoint, one that is here already; on the command line, of the file given
    architecture  the teacher's, where its file does not say it
    normalize     of what the teacher is shown, where that is not what the student is shown; null: the same
    weight        share of the loss that is the divergence from the teacher's answers
    temperature   softens both answers
    """

    teacher: Sha256
    architecture: ArchitectureSettings | None = None
    normalize: Normalization | None = None
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    temperature: Annotated[float, Field(gt=0, le=100)] = 4.0


class Training(Value):
    """How to train, and what goes with it.

    epochs             how often it sees every training image
    steps              no more than so many batches in all; null: as `epochs` says
    batch              images that a step learns from
    optimizer          `sgd` with Nesterov momentum, or `adam`, its weight decay decoupled (Loshchilov and Hutter 2019)
    learning_rate      the largest, after `warmup_epochs`
    schedule           `cosine` to zero; `step`: times `milestone_factor` at each of `milestones`; or `constant`
    milestones         shares of all steps, in growing order
    milestone_factor   what the learning rate is multiplied by at each
    warmup_epochs      over which the learning rate grows from zero linearly
    momentum           Nesterov's; the decay of Adam's mean of gradients
    weight_decay       of the weights of convolutions and linear layers; batch norms and biases have none
    clip_norm          gradients whose norm, over all weights together that are not held at zero, is larger are scaled
                       down to it; null: none are
    label_smoothing    share of each label that is spread over all classes
    mixup              parameter of its beta distribution; 0 leaves it out
    cutmix             the same; with both, a batch gets one of them
    ema                decay of the average of the weights that is kept in the end, at step n no more than
                       (1 + n) / (10 + n), so that the start is soon forgotten; 0 keeps the last weights
    augmentation       of the images
    distillation       null: no teacher
    shakedrop          noise on the residual branches of a network that was built with it (PyramidNet)
    hold_zeros         weights of dot products that are zero stay so; those of a fresh network, which nobody made
                       sparse, learn
    keep               the last epoch, or the one that is best on the held-out images
    precision          `auto`: bfloat16 for convolutions and products on CUDA where the network is not quantized, else
                       float32; of a teacher too, unless it is quantized itself
    cuda_graphs        on CUDA, the kernels from a batch to its gradients are recorded once and launched as one. For
                       one process; on a CPU it changes nothing
    """

    epochs: Annotated[int, Field(ge=0, le=100_000)] = 200
    steps: Annotated[int, Field(ge=0, le=100_000_000)] | None = None
    batch: Annotated[int, Field(ge=1, le=65_536)] = 128
    optimizer: Literal["sgd", "adam"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.1
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    milestones: Annotated[tuple[Share, ...], Field(max_length=100)] = (0.5, 0.75)
    milestone_factor: Annotated[float, Field(gt=0, le=1)] = 0.1
    warmup_epochs: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    momentum: Share = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    clip_norm: Annotated[float, Field(gt=0, le=1e6)] | None = None
    label_smoothing: Share = 0.0
    mixup: Annotated[float, Field(ge=0, le=100)] = 0.0
    cutmix: Annotated[float, Field(ge=0, le=100)] = 0.0
    ema: Share = 0.0
    augmentation: Augmentation = Augmentation()
    distillation: Distillation | None = None
    shakedrop: bool = True
    hold_zeros: bool = True
    keep: Literal["last", "best"] = "last"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    cuda_graphs: bool = False

    @model_validator(mode="after")
    def _milestones_in_order(self) -> Self:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones: shares of the training in growing order are needed, as in [0.5, 0.75]")
        return self


class FineTuning(Training):
    """Training that repairs what a stage did to a network; by default short, gentle and of few epochs.

    Gradients are clipped: a network without batch norms, or in rotated layers, comes apart easily.
    """

    epochs: Annotated[int, Field(ge=0, le=100_000)] = 10
    learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.01
    clip_norm: Annotated[float, Field(gt=0, le=1e6)] | None = 1.0
    augmentation: Augmentation = Augmentation(policy="none")


class LearningSettings(JobSettings):
    """What every job that learns from training images is told.

    track         whose images it learns from
    normalize     of the input; null: the track's
    holdout       share of the training images, chosen by `seed`, that is kept apart to choose by
    train_images  at most so many of the others are used; null: all
    evaluate      measure on the test set, at the end; it is never used for anything else
    seed          of all that is drawn: the split, the order of images, augmentation
    """

    track: Name = "cifar100"
    normalize: Normalization | None = None
    holdout: Annotated[float, Field(gt=0, lt=1)] = 0.1
    train_images: Annotated[int, Field(ge=1)] | None = None
    evaluate: bool = True
    seed: Seed = 0


class TrainSettings(LearningSettings, Training):
    """Train a network: the file's, or without one a fresh one of `architecture`."""


class EpochReport(Value):
    """One epoch: the mean loss over its batches, and correct answers on the held-out images; infinity is none."""

    epoch: int
    steps: int
    loss: float
    learning_rate: float
    holdout: Accuracy


class TrainingReport(Value):
    """How training went. `kept` is the epoch whose weights were kept, 0 for those before the first."""

    before: Accuracy
    epochs: tuple[EpochReport, ...]
    kept: Annotated[int, Field(ge=0)]
    after: Accuracy
    images: int

    @field_validator("kept")
    @classmethod
    def _one_of_them_was_kept(cls, kept: int, info: ValidationInfo) -> int:
        epochs = info.data.get("epochs")
        if epochs is not None and kept > len(epochs):
            raise ValueError(f"there is no epoch {kept}, there are {len(epochs)}")
        return kept


class TrainResult(Value):
    """The answer of a train job; `holdout` accuracies are in `training`, `accuracy` is the test set's.

    `teacher` is the teacher's accuracy on held-out images; null where there is none, or are several.
    """

    track: str
    training: TrainingReport
    accuracy: Accuracy | None
    teacher: Accuracy | None = None
    artifact: ArtifactFile
    scorer: Scorer
    warnings: tuple[str, ...]


def _no(value: bool) -> bool:
    if value:
        raise ValueError("a policy has no accuracy on the test set; train with it, and evaluate that")
    return value


class AugmentSettings(LearningSettings, Training):
    """Search a policy of augmentation by density matching (Lim et al. 2019): Fast AutoAugment.

    On each of `folds` splits a network is trained without augmentation by a policy; then `searches` times `candidates`
    policies are tried, in the way of a tree-structured Parzen estimator. The fold's own held-out images are augmented
    `lists` times by each, and those count that are answered right at least once: such a policy varies images, and leads
    to images like those there were. The `best` of each search (of equal ones, those of least loss) are put together.
    Nothing is measured on the test set, and the `holdout` images stay unseen for the training that the policy is for
    (with the same seed).

    folds       splits of the training images, each with a network of its own
    searches    on each fold
    candidates  policies tried in each search
    lists       of operations in each candidate, and draws by which it is judged; with one alone, changing nothing would
                win. folds x searches x best x lists are in the policy that is found: 500 by default, 512 at most
    operations  in each list
    best        candidates of each search that are kept
    evaluate    has to be false: a policy has no accuracy on the test set
    """

    folds: Annotated[int, Field(ge=1, le=20)] = 5
    searches: Annotated[int, Field(ge=1, le=100)] = 2
    candidates: Annotated[int, Field(ge=1, le=10_000)] = 200
    lists: Annotated[int, Field(ge=2, le=100)] = 5
    operations: Annotated[int, Field(ge=1, le=8)] = 2
    best: Annotated[int, Field(ge=1, le=100)] = 10
    evaluate: Annotated[StrictBool, AfterValidator(_no), Field(json_schema_extra={"const": False})] = False

    @model_validator(mode="after")
    def _a_policy_comes_of_it(self) -> Self:
        if self.best > self.candidates:
            raise ValueError(f"best {self.best} of {self.candidates} candidates: there are not as many")
        found = self.folds * self.searches * self.best * self.lists
        if found > MOST_LISTS:
            raise ValueError(
                f"folds x searches x best x lists is the length of the policy, {found}: {MOST_LISTS} at most"
            )
        return self


class AugmentResult(Value):
    """The answer of an augment job; the artifact is `policy` as JSON, for `augmentation.policy` of any training.

    The folds' networks answered their held-out images, each augmented `lists` times, without a policy (by `crop`,
    `flip` and `cutout` alone) and with the whole one. These images chose the policy, so they flatter it; and they say
    nothing of a network that learns with it.

    loss_without, loss_with          mean over the images of the least cross-entropy of their draws
    accuracy_without, accuracy_with  images answered right in at least one draw, over all folds
    """

    track: str
    policy: AugmentationPolicy
    loss_without: float
    loss_with: float
    accuracy_without: Accuracy
    accuracy_with: Accuracy
    artifact: ArtifactFile
    scorer: Scorer
    warnings: tuple[str, ...]
