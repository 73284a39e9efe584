"""What the jobs that quantize, fuse and score are asked with, and what all jobs are."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from micronet.contract.values import Bits, Name, Seed, Value


class ArchitectureSettings(Value):
    """Which network a bare state dict is of.

    name     one of the architectures of this server
    options  those of the architecture, by name; what is left out has its default
    """

    name: Name
    options: dict[str, JsonValue] = Field(default_factory=dict)


class BitWidths(Value):
    """Widths in bits, 32 for what is not quantized. What is measured is quantized so.

    param_bits     of weights and biases
    mul_bits       of activations, and so of multiplications
    add_bits       of additions, as the policy `report` counts them; nothing is rounded to it
    exponent_bits  of the exponent that the weights of a layer share, as `report` counts it
    """

    param_bits: Bits = 9
    mul_bits: Bits = 12
    add_bits: Bits = 32
    exponent_bits: Annotated[int, Field(ge=0, le=32)] = 8


class QuantizerSettings(Value):
    """How fixed-point grids are placed: steps are powers of two, and the exponent follows from what is to fit.

    rule                `sigmamax`: mean and so many standard deviations; `max`: the largest magnitude; `mse`: the
                        least squared error
    granularity         one exponent per tensor, or per channel: per filter of a layer's weights
    weight_stds         standard deviations of a weight that SigmaMax leaves room for
    activation_stds     the same of an activation
    calibration_images  training images, chosen by the seed, whose activations are looked at
    """

    rule: Literal["sigmamax", "max", "mse"] = "sigmamax"
    granularity: Literal["tensor", "channel"] = "tensor"
    weight_stds: Annotated[float, Field(gt=0, le=1000)] = 10.0
    activation_stds: Annotated[float, Field(gt=0, le=1000)] = 20.0
    calibration_images: Annotated[int, Field(ge=1, le=1_000_000)] = 1000


class Normalization(Value):
    """Input = (pixel / 255 - mean) / std, one number per channel.

    mean  of pixels scaled to 0..1, for each channel
    std   standard deviation of the same
    """

    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=16)]
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=16)]


class JobSettings(Value):
    """What every job is told: of which network the file is, if it does not say so itself, and whose entry it is.

    architecture  the network of a state dict, or the fresh one to start from; null: the file says it, as ONNX does
    team          whose entry it is; with an access token the token's team, which needs no saying
    name          of the entry, for the leaderboard and the list of jobs
    """

    architecture: ArchitectureSettings | None = None
    team: Name | None = None
    name: Name | None = None


class QuantizingSettings(JobSettings):
    """What the numbers of a quantized network depend on.

    track           what it is measured on and against
    bits            widths to quantize to; null: the network as it is, with the grids that the file brings
    fuse_batchnorm  merge batch norms into the layers beside them first
    quantizer       where its grids lie
    normalize       of the input; null: the track's
    seed            which images calibrate, and whatever else is drawn
    """

    track: Name = "cifar100"
    bits: BitWidths | None = BitWidths()
    fuse_batchnorm: bool = True
    quantizer: QuantizerSettings = QuantizerSettings()
    normalize: Normalization | None = None
    seed: Seed = 0


class FuseSettings(JobSettings):
    """Fusing has nothing to choose."""


class ScoreSettings(QuantizingSettings):
    """Everything a score depends on beside the file.

    policy        `report`: the team's formulas with declared widths; `challenge`: the rules of 2019
    encoding      under `challenge`, a tensor with zeros is stored dense or with a mask, whichever is cheaper, or
                  always `masked`
    accumulators  `declared`: additions as wide as the policy has them; `proven`: where a bound over the weights proves
                  a narrower sum exact for every input, as wide as that
    evaluate      measure accuracy on the test set
    bit_true      measure with sums that are exact, where float32 might round them
    """

    policy: Literal["report", "challenge"] = "report"
    encoding: Literal["cheapest", "masked"] = "cheapest"
    accumulators: Literal["declared", "proven"] = "declared"
    evaluate: bool = True
    bit_true: bool = False
