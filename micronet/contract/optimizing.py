"""What the optimize job is asked with and what it answers."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from micronet.contract.results import Accuracy, ArtifactFile, Scorer, ScoreResult, ScoreTerms
from micronet.contract.settings import JobSettings, Normalization
from micronet.contract.training import Augmentation, TrainingReport
from micronet.contract.values import Name, Seed, Value

Width = Annotated[int, Field(ge=2, le=16)]
_Range = tuple[Width, Width]


class Tuning(Value):
    """A training budget for each network that is made: on its grids, with the file's network for a teacher, no labels.

    steps          of Adam
    batch          images that a step learns from
    learning_rate  about how far a weight moves with each, in steps of its grid; it falls to zero as a cosine
    temperature    softens both answers
    mixup          parameter of the beta distribution of pairs of images mixed; 0 mixes none
    augmentation   of the images
    """

    steps: Annotated[int, Field(ge=1, le=100_000)] = 200
    batch: Annotated[int, Field(ge=1, le=65_536)] = 64
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.02
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    mixup: Annotated[float, Field(ge=0, le=100)] = 0.0
    augmentation: Augmentation = Augmentation(policy="none")


class OptimizeSettings(JobSettings):
    """Find the lowest score of the file's network that keeps a floor, without training or with a small budget of it.

    track               what it is measured on and against
    normalize           what the images are normalized with; null: the track's
    seed                chooses calibration and held-out images
    policy              whose score: the challenge's rules, with proven accumulators
    floor               share of the test images that has to be right; null: the track's
    weight_bits         narrowest and widest that weights of a layer may be
    input_bits          the same of the values that a layer reads
    gate_bits           the same of the values that a hard swish reads
    value_bits          of all other values
    bias_bits           of all biases
    sparsify            whether more weights may become zero
    correct             whether weights are fitted, layer by layer, to what the layers before them really give; without
                        it every weight is rounded to the nearest point
    tuning              how each network is trained once it is fitted; null: it is not
    calibration_images  training images that grids are placed and weights are fitted on
    holdout_images      other training images, mixed until they are nearly as hard as test images, to compare points on
    points              networks of either kind that are made and measured on the way, at most
    margin              share of what the network may lose that is kept back when choosing, as the held-out images
                        speak for the test images only roughly
    looks               networks that are measured on the test set, at most: where one is under the floor, a safer one
                        is taken, which the result reports
    """

    track: Name = "cifar100"
    policy: Literal["challenge"] = "challenge"
    floor: Annotated[float, Field(gt=0, le=1)] | None = None
    weight_bits: _Range = (2, 8)
    input_bits: _Range = (3, 12)
    gate_bits: _Range = (4, 12)
    value_bits: Width = 12
    bias_bits: Width = 8
    sparsify: bool = True
    correct: bool = True
    tuning: Tuning | None = None
    calibration_images: Annotated[int, Field(ge=16, le=100_000)] = 1024
    holdout_images: Annotated[int, Field(ge=16, le=1_000_000)] = 10_000
    points: Annotated[int, Field(ge=1, le=50)] = 12
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.0
    looks: Annotated[int, Field(ge=1, le=20)] = 6
    normalize: Normalization | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _ranges_in_order(self) -> Self:
        for name in ("weight_bits", "input_bits", "gate_bits"):
            least, most = getattr(self, name)
            if least > most:
                raise ValueError(f"{name}: the narrowest comes first, as in [{most}, {least}]")
        return self


class OptimizedLayer(Value):
    """What was chosen for a layer, and proven of it.

    `nonzero` of its `weights` are left. `accumulator_bits` are those of each filter: additions of that many bits give
    its sums exactly, for any input.
    """

    name: str
    weight_bits: int
    input_bits: int
    weights: int
    nonzero: int
    accumulator_bits: tuple[int, ...]


class FrontPoint(Value):
    """A network on the way: what it is, and how it does on the held-out images.

    `agreement` is the share of held-out images it answers as the network in floating point does; `loss` the squared
    change of the logits over their size. `hard` and `hard_agreement` are the same on images as hard as test images.
    `kind` uniform: one width for all weights, one for all that layers read. `tuning` is how its training went, its
    accuracies the shares of hard images answered as by the file's network; null where there was none.
    """

    kind: Literal["searched", "uniform"]
    description: str
    holdout: Accuracy
    agreement: float
    loss: float
    hard: Accuracy
    hard_agreement: float
    score: ScoreTerms
    tuning: TrainingReport | None = None


class TestLook(Value):
    """A network of the front that was measured on the test set; `point` is its index there."""

    __test__ = False

    point: int
    accuracy: Accuracy
    kept_floor: bool


class OptimizeResult(Value):
    """The answer of an optimize job: the lowest score found that keeps the floor, and the road there.

    `before` is the file as it came: its score with nothing quantized, and its accuracy, which says how much may be
    lost. `mixing` is the share of a second image in held-out images, and `hard_mixing` in those as hard as test images.
    `front` are all networks that were made; `looks` those measured on the test set, bit-true and in order, the last of
    which is the artifact. For comparison only, `uniform_looks` are those of uniform networks, chosen by the same rule;
    the last of these is the best one, if it kept the floor. `score` is what the score job gives for the artifact alone
    (bits null, accumulators proven, bit-true).
    """

    track: str
    floor: int
    before: ScoreTerms
    before_accuracy: Accuracy
    mixing: float
    holdout_before: Accuracy
    hard_mixing: float
    hard_before: Accuracy
    front: tuple[FrontPoint, ...]
    looks: tuple[TestLook, ...]
    uniform_looks: tuple[TestLook, ...]
    layers: tuple[OptimizedLayer, ...]
    score: ScoreResult
    artifact: ArtifactFile
    scorer: Scorer
    warnings: tuple[str, ...]
