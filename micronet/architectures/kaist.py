"""The network of KAIST AI, MicroNet Challenge of 2019, CIFAR-100 track, as its published files have it."""

from typing import cast

from torch import Tensor, nn

from micronet.architectures.layers import SqueezeExcitation, conv_norm, initialise_
from micronet.architectures.options import KaistOptions

STEM = 32
STAGES = (
    # channels, blocks, stride of the first
    (20, 2, 1),
    (36, 2, 2),
    (56, 3, 1),
    (80, 5, 2),
    (88, 1, 2),
    (96, 2, 1),
    (114, 1, 1),
)
"""Read off kaist_v2_pr15.onnx: 463,464 weights, 41 million multiplications where none of them is zero."""
EXPANSION = 2.5
SQUEEZE = 4


class Block(nn.Module):
    """Expand 1x1, depthwise 3x3, project 1x1; where the size stays, gates on the few channels left, and a sum."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *conv_norm(inputs, hidden, 1, activation=nn.Hardswish),
            *conv_norm(hidden, hidden, 3, stride, groups=hidden, activation=nn.Hardswish),
            *conv_norm(hidden, outputs, 1),
        )
        self.summed = stride == 1
        if self.summed:
            self.excitation = SqueezeExcitation(outputs, max(1, outputs // SQUEEZE), nn.Hardswish)
            self.shortcut = nn.Identity() if inputs == outputs else conv_norm(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        branch = cast(Tensor, self.layers(x))
        return cast(Tensor, self.excitation(branch) + self.shortcut(x)) if self.summed else branch


class Kaist(nn.Module):
    """Keys: stem, blocks.{0..15}.{layers,excitation,shortcut}, classifier.1. They are ours, not the entry's."""

    def __init__(self, options: KaistOptions) -> None:
        super().__init__()
        inputs = options.channels(STEM)
        self.stem = conv_norm(options.image_channels, inputs, 3, activation=nn.Hardswish)
        self.blocks = nn.Sequential()
        for base, count, stride in STAGES:
            outputs = options.channels(base)
            for index in range(count):
                hidden = options.rounded(EXPANSION * inputs)
                self.blocks.append(Block(inputs, hidden, outputs, stride if index == 0 else 1))
                inputs = outputs
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(options.dropout), nn.Linear(inputs, options.num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        x = self.avgpool(self.blocks(self.stem(images)))
        return cast(Tensor, self.classifier(x.flatten(1)))


def build(options: KaistOptions) -> Kaist:
    """A fresh network."""
    network = Kaist(options)
    initialise_(network)
    return network
