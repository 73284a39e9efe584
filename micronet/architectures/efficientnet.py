"""EfficientNet (Tan and Le 2019), with torchvision's keys."""

import math
from typing import cast

from torch import Tensor, nn

from micronet.architectures.layers import SqueezeExcitation, conv_norm, initialise_, round_channels, strides_to
from micronet.architectures.options import EfficientNetOptions
from micronet.architectures.stochastic_depth import StochasticDepth

STAGES = (
    # expansion, kernel, stride of the first, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Table 1 of the paper: B0."""


class MobileBlock(nn.Module):
    """Expand 1x1, depthwise, squeeze and excite, project 1x1; a sum where the shape stays."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int, drop_probability: float
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = [conv_norm(inputs, hidden, 1, activation=nn.SiLU)] if expansion != 1 else []
        layers += [
            conv_norm(hidden, hidden, kernel, stride, groups=hidden, activation=nn.SiLU),
            SqueezeExcitation(hidden, max(1, inputs // 4), nn.SiLU),
            conv_norm(hidden, outputs, 1),
        ]
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(drop_probability)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        branch = cast(Tensor, self.block(x))
        return self.stochastic_depth(branch) + x if self.residual else branch


class EfficientNet(nn.Module):
    """Keys: features.0, features.{1..7}.{i}.block.{j}, features.8, classifier.1."""

    def __init__(self, options: EfficientNetOptions) -> None:
        super().__init__()
        inputs = round_channels(32 * options.width_multiplier)
        first, *strides = strides_to(options.output_stride, [2, *(stride for _, _, stride, _, _ in STAGES)])
        features: list[nn.Module] = [conv_norm(options.image_channels, inputs, 3, first, activation=nn.SiLU)]
        counts = [math.ceil(blocks * options.depth_multiplier) for *_, blocks in STAGES]
        built = 0
        for (expansion, kernel, _, channels, _), stride, count in zip(STAGES, strides, counts, strict=True):
            outputs = round_channels(channels * options.width_multiplier)
            stage = []
            for index in range(count):
                block = MobileBlock(
                    inputs,
                    outputs,
                    kernel=kernel,
                    stride=stride if index == 0 else 1,
                    expansion=expansion,
                    drop_probability=options.stochastic_depth * built / sum(counts),
                )
                stage.append(block)
                inputs, built = outputs, built + 1
            features.append(nn.Sequential(*stage))
        features.append(conv_norm(inputs, 4 * inputs, 1, activation=nn.SiLU))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(4 * inputs, options.num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        x = self.avgpool(self.features(images))
        return cast(Tensor, self.classifier(x.flatten(1)))


def build(options: EfficientNetOptions) -> EfficientNet:
    """A fresh EfficientNet."""
    network = EfficientNet(options)
    initialise_(network)
    return network
