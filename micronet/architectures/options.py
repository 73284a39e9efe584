"""What each network may be asked for: frozen options whose bounds refuse a monster before anything is built."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Classes = Annotated[int, Field(ge=1, le=100_000, description="number of classes")]
Depth = Annotated[int, Field(ge=1, le=2_000, description="layers with weights, as the paper counts them")]
Dropout = Annotated[float, Field(ge=0, lt=1, description="probability, while training; counts nothing")]
ImageSize = Annotated[int, Field(ge=8, le=1_024, description="height and width of the image")]
LargeImageSize = Annotated[int, Field(ge=32, le=1_024, description="height and width of the image")]
OutputStride = Annotated[
    Literal[4, 8, 16, 32],
    Field(description="how much smaller the last maps are than the image; 8 and 4 are for images of 32 pixels"),
]
Multiplier = Annotated[float, Field(ge=0.1, le=8, description="1.0 is the network of the paper")]


class Options(BaseModel):
    """Options every network has. Subclasses give defaults and add their own.

    Strict: "28" is no number. A team's own options derive from this class.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    image_channels: ClassVar[int] = 3

    num_classes: Classes = 100
    image_size: ImageSize = 32

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of one image."""
        return (self.image_channels, self.image_size, self.image_size)


class PyramidNetOptions(Options):
    """PyramidNet for CIFAR. Depth is 9n+2 with bottlenecks, 6n+2 without; `alpha` channels are added over all blocks.

    `shakedrop` scales each residual branch by its expectation 1 - p when the network is evaluated. Weights
    trained with ShakeDrop need it, and no key of a state dict tells.
    """

    image_size: Annotated[ImageSize, Field(multiple_of=4)] = 32
    depth: Depth = 272
    alpha: Annotated[float, Field(gt=0, le=4_096, description="widening, in channels, from first block to last")] = 200
    bottleneck: Annotated[bool, Field(description="blocks of three convolutions instead of two")] = True
    shakedrop: Annotated[bool, Field(description="whether it was trained with ShakeDrop")] = True

    @property
    def blocks_per_stage(self) -> int:
        """Residual blocks in each of the three stages."""
        return (self.depth - 2) // (9 if self.bottleneck else 6)

    @model_validator(mode="after")
    def _depth_fits(self) -> Self:
        _check_depth(self.depth, step=9 if self.bottleneck else 6, rest=2)
        return self


class WideResNetOptions(Options):
    """WideResNet for CIFAR. Depth is 6n+4."""

    depth: Depth = 28
    width: Annotated[int, Field(ge=1, le=64, description="widening factor k")] = 10
    dropout: Dropout = 0.0

    @model_validator(mode="after")
    def _depth_fits(self) -> Self:
        _check_depth(self.depth, step=6, rest=4)
        return self


class CifarResNetOptions(Options):
    """The ResNet of section 4.2 of the paper. Depth is 6n+2.

    Shortcut "A" subsamples and pads with zeros (no weights); "B" is a 1x1 convolution with batch norm.
    """

    depth: Depth = 20
    width: Annotated[int, Field(ge=1, le=1_024, description="channels of the first stage")] = 16
    shortcut: Annotated[Literal["A", "B"], Field(description="A has no weights, B is a convolution")] = "A"

    @model_validator(mode="after")
    def _depth_fits(self) -> Self:
        _check_depth(self.depth, step=6, rest=2)
        return self


class ResNetOptions(Options):
    """ResNet for ImageNet."""

    num_classes: Classes = 1_000
    image_size: LargeImageSize = 224
    depth: Annotated[
        Literal[18, 34, 50, 101, 152], Field(description="layers with weights, as the paper counts them")
    ] = 50


class MobileNetV2Options(Options):
    """MobileNetV2."""

    num_classes: Classes = 1_000
    image_size: LargeImageSize = 224
    width_multiplier: Multiplier = 1.0
    output_stride: OutputStride = 32
    dropout: Dropout = 0.2


class EfficientNetOptions(Options):
    """EfficientNet: B0, or B0 scaled in width and depth."""

    num_classes: Classes = 1_000
    image_size: LargeImageSize = 224
    width_multiplier: Multiplier = 1.0
    depth_multiplier: Multiplier = 1.0
    output_stride: OutputStride = 32
    dropout: Dropout = 0.2
    stochastic_depth: Annotated[
        float, Field(ge=0, lt=1, description="probability that the last block is left out, while training")
    ] = 0.2


class DenseNetOptions(Options):
    """DenseNet-BC for CIFAR. Depth is 6n+4."""

    depth: Depth = 100
    growth: Annotated[int, Field(ge=1, le=256, description="growth rate k")] = 12
    dropout: Dropout = 0.0

    @model_validator(mode="after")
    def _depth_fits(self) -> Self:
        _check_depth(self.depth, step=6, rest=4)
        return self


class KaistOptions(Options):
    """The network of KAIST AI's entry of 2019, or one wider or narrower.

    GPUs are fastest with multiples of 8 channels; with a `divisor` of 2 and a width of 1 it is the entry's network.
    """

    width_multiplier: Annotated[float, Field(ge=0.1, le=8, description="1.0 is the network of the entry")] = 1.0
    divisor: Annotated[int, Field(ge=1, le=64, description="of the channels of every convolution but the gates'")] = 2
    dropout: Dropout = 0.0

    def channels(self, base: int) -> int:
        """Of a layer that has `base` in the entry's network."""
        return self.rounded(base * self.width_multiplier)

    def rounded(self, channels: float) -> int:
        """The nearest multiple of the divisor, at least one."""
        return max(1, round(channels / self.divisor)) * self.divisor


class DigitsOptions(Options):
    """A small network for 8x8 grey images."""

    image_channels: ClassVar[int] = 1

    num_classes: Classes = 10
    image_size: Annotated[int, Field(ge=4, le=256, description="height and width of the image")] = 8
    width: Annotated[int, Field(ge=1, le=1_024, description="channels of the first layer")] = 16


def _check_depth(depth: int, step: int, rest: int) -> None:
    if depth < step + rest or depth % step != rest:
        below = max(step + rest, depth - (depth - rest) % step)
        raise ValueError(f"depth is {step}n+{rest} with n at least 1, such as {below} or {below + step}")
