"""What the jobs that quantize, fuse and score are asked with, and what all jobs are."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from micronet.contract.values import Bits, Name, Seed, Value


class ArchitectureSettings(Value):
    """Which network a bare state dict is of."""

    name: Name
    options: dict[str, JsonValue] = Field(default_factory=dict)


class BitWidths(Value):
    """Widths in bits. What is measured is quantized so: weights at `param_bits`, activations at `mul_bits`."""

    param_bits: Bits = 9
    mul_bits: Bits = 12
    add_bits: Bits = 32
    exponent_bits: Annotated[int, Field(ge=0, le=32)] = 8


class QuantizerSettings(Value):
    """How fixed-point grids are placed (SCORING section 6)."""

    rule: Literal["sigmamax", "max", "mse"] = "sigmamax"
    granularity: Literal["tensor", "channel"] = "tensor"
    weight_stds: Annotated[float, Field(gt=0, le=1000)] = 10.0
    activation_stds: Annotated[float, Field(gt=0, le=1000)] = 20.0
    calibration_images: Annotated[int, Field(ge=1, le=1_000_000)] = 1000


class Normalization(Value):
    """Input = (pixel / 255 - mean) / std, one number per channel."""

    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=16)]
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=16)]


class JobSettings(Value):
    """What every job is told: of which network the file is, if it does not say so itself, and whose entry it is."""

    architecture: ArchitectureSettings | None = None
    team: Name | None = None
    name: Name | None = None


class QuantizingSettings(JobSettings):
    """What the numbers of a quantized network depend on."""

    track: Name = "cifar100"
    bits: BitWidths | None = BitWidths()
    fuse_batchnorm: bool = True
    quantizer: QuantizerSettings = QuantizerSettings()
    normalize: Normalization | None = None
    seed: Seed = 0


class FuseSettings(JobSettings):
    """Fusing has nothing to choose."""


class ScoreSettings(QuantizingSettings):
    """Everything a score depends on beside the file."""

    policy: Literal["report", "challenge"] = "report"
    encoding: Literal["cheapest", "masked"] = "cheapest"
    accumulators: Literal["declared", "proven"] = "declared"
    evaluate: bool = True
    bit_true: bool = False
