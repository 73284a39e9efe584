"""MobileNetV2 (Sandler et al. 2018), with torchvision's keys."""

from typing import cast

from torch import Tensor, nn

from micronet.architectures.layers import conv_norm, initialise_, round_channels, strides_to
from micronet.architectures.options import MobileNetV2Options

STAGES = (
    # expansion, channels, blocks, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Table 2 of the paper."""


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1 without activation; a sum where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = [conv_norm(inputs, hidden, 1, activation=nn.ReLU6)] if expansion != 1 else []
        layers.append(conv_norm(hidden, hidden, 3, stride, groups=hidden, activation=nn.ReLU6))
        layers += conv_norm(hidden, outputs, 1)
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        branch = cast(Tensor, self.conv(x))
        return x + branch if self.residual else branch


class MobileNetV2(nn.Module):
    """Keys: features.{0..18}, classifier.1."""

    def __init__(self, options: MobileNetV2Options) -> None:
        super().__init__()
        multiplier = options.width_multiplier
        inputs = round_channels(32 * multiplier)
        # A narrow network keeps its last layer: section 6.1 of the paper.
        last = round_channels(1280 * max(1.0, multiplier))
        first, *strides = strides_to(options.output_stride, [2, *(stride for *_, stride in STAGES)])
        features: list[nn.Module] = [conv_norm(options.image_channels, inputs, 3, first, activation=nn.ReLU6)]
        for (expansion, channels, blocks, _), stride in zip(STAGES, strides, strict=True):
            outputs = round_channels(channels * multiplier)
            for index in range(blocks):
                features.append(InvertedResidual(inputs, outputs, stride if index == 0 else 1, expansion))
                inputs = outputs
        features.append(conv_norm(inputs, last, 1, activation=nn.ReLU6))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(last, options.num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        x = self.avgpool(self.features(images))
        return cast(Tensor, self.classifier(x.flatten(1)))


def build(options: MobileNetV2Options) -> MobileNetV2:
    """A fresh MobileNetV2."""
    network = MobileNetV2(options)
    initialise_(network)
    return network
