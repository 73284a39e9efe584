"""What the jobs that quantize, fuse and score answer, and what all answers are made of."""

from typing import Literal, Self

from micronet.contract.values import Value


class Accuracy(Value):
    """Correct answers on the test set; `top1` is their share."""

    correct: int
    total: int
    top1: float

    @classmethod
    def of(cls, correct: int, total: int) -> Self:
        """With their share."""
        return cls(correct=correct, total=total, top1=correct / total)


class OperationTotals(Value):
    """Exact counts for one image, and `math`: 32-bit operations under the policy."""

    multiplications: int
    additions: int
    exponents: int
    math: float


class StorageTotals(Value):
    """Exact counts; `bits` of storage under the policy, and `storage`: the same in 32-bit parameters."""

    parameters: int
    nonzero: int
    bits: int
    storage: float


class ScoreTerms(Value):
    """Storage and math against the track's baselines, and their sum. Lower is better."""

    storage: float
    math: float
    total: float


OperationKind = Literal["multiplications", "additions", "exponents"]
StoredKind = Literal["parameters", "mask", "exponents", "scales"]


class Charges(Value):
    """What a policy charged a layer: of each kind, how many there are of each width, by that width in bits.

    Widths times how many there are of them add up to 32 times the layer's `math`, and to 32 times its `storage`. What
    there is none of, or is free, is left out. `parameters` are the elements that are stored, `mask` those of which one
    bit says whether they are zero, `scales` the bits of scales and zero points, one by one.
    """

    math: dict[OperationKind, dict[int, int]]
    storage: dict[StoredKind, dict[int, int]]


class Layer(Value):
    """One operation of the network; layers add up to the totals.

    `shape` is that of the result for one image. `accumulator_bits` is the proof for each filter, where it was asked for
    and there is one: additions of that many bits give its sums exactly, for any input. `charged` is null in results of
    versions that did not keep it.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    multiplications: int
    additions: int
    parameters: int
    nonzero: int
    weight_bits: int | None
    activation_bits: int
    math: float
    storage: float
    accumulator_bits: tuple[int, ...] | None = None
    charged: Charges | None = None


class DatasetIdentity(Value):
    """Which images were measured on."""

    name: str
    sha256: str


class Scorer(Value):
    """What it takes to get the same numbers again. `dataset` is null where nothing was measured."""

    version: str
    torch: str
    device: str
    dataset: DatasetIdentity | None
    seed: int


class ArtifactFile(Value):
    """A file a job leaves behind; `size` in bytes."""

    name: str
    sha256: str
    size: int


class MergedBatchNorm(Value):
    """A batch norm that went, and the layer that took it over."""

    norm: str
    into: str


class QuantizedTensor(Value):
    """A tensor on its grid.

    `points` are binary points, one or one per filter: a step is 2^-point; null where steps are no powers of two, or
    where no image was there to place them: a count looks at none. Of `values` numbers looked at (the elements of a
    weight, an activation's on some training images), `clipped` lay beyond an end of the grid; `relative_squared_error`
    is the sum of squared errors over the sum of squares. The three are null where nothing was rounded or looked at: the
    file brought its own grids, or a weight learned on its grid.
    """

    name: str
    kind: Literal["weight", "activation"]
    bits: int
    points: tuple[int, ...] | None
    values: int | None
    clipped: int | None
    relative_squared_error: float | None


class RemovedOperation(Value):
    """An operation of the file that the fused network does without."""

    name: str
    op: str


class NetworkTotals(Value):
    """Exact counts of a network for one image."""

    parameters: int
    nonzero: int
    multiplications: int
    additions: int


class Changes(Value):
    """What fusing and quantizing made of the file's network: what went, what it counted before and after, its grids.

    `tensors` are those on a grid, as quantize jobs report them; none where nothing was quantized.
    """

    merged: tuple[MergedBatchNorm, ...]
    removed: tuple[RemovedOperation, ...]
    before: NetworkTotals
    after: NetworkTotals
    tensors: tuple[QuantizedTensor, ...]


class NetworkWidths(Value):
    """The widths a network is listed at, in bits: as `bits` declares them, else those that the network brings.

    `report` charges these: `param_bits` brought are those of the widest parameter, `mul_bits` of the widest value that
    enters a dot product, 32 without any. `challenge` charges every operation and tensor its own; there `param_bits`
    brought are those of the widest weights, biases aside. Null without any.
    """

    param_bits: int | None
    mul_bits: int | None


class ScoreResult(Value):
    """The answer of a score job.

    `accuracy` and `qualifies` are null where nothing was measured, `changes` where nothing was fused or quantized,
    `widths` in results of versions that did not keep them.
    """

    track: str
    policy: Literal["report", "challenge"]
    accuracy: Accuracy | None
    operations: OperationTotals
    storage: StorageTotals
    score: ScoreTerms
    threshold: float
    qualifies: bool | None
    mtas_bytes: int
    layers: tuple[Layer, ...]
    scorer: Scorer
    warnings: tuple[str, ...]
    changes: Changes | None = None
    widths: NetworkWidths | None = None


class MergedLayer(Value):
    """A linear layer that went, and the one right after it that took it over."""

    layer: str
    into: str


class RemovedChannels(Value):
    """Filters that a layer lost: those that gave the same number for every image, and those that nothing read."""

    layer: str
    constant: int
    unread: int


class FusingReport(Value):
    """What fusing did.

    `merged` are batch norms, `merged_layers` linear layers in a row that are cheaper as one. `largest_difference` is
    that of any logit on eight random images, before and after; `largest_logit` the largest magnitude among them.
    """

    merged: tuple[MergedBatchNorm, ...]
    merged_layers: tuple[MergedLayer, ...]
    removed: tuple[RemovedOperation, ...]
    removed_channels: tuple[RemovedChannels, ...]
    before: NetworkTotals
    after: NetworkTotals
    largest_difference: float
    largest_logit: float


class FuseResult(FusingReport):
    """The answer of a fuse job."""

    artifact: ArtifactFile
    scorer: Scorer
    warnings: tuple[str, ...]
