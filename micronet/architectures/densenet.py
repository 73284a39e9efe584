"""DenseNet-BC for CIFAR (Huang, Liu, van der Maaten and Weinberger 2017), with torchvision's names."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from micronet.architectures.layers import initialise_
from micronet.architectures.options import DenseNetOptions


class DenseLayer(nn.Module):
    """Batch norm, ReLU, 1x1 convolution to 4k channels; batch norm, ReLU, 3x3 to k; joined to the input."""

    def __init__(self, inputs: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, 1, 1, bias=False)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, inputs + k, H, W)."""
        branch = self.conv1(F.relu(self.norm1(x)))
        branch = self.conv2(F.relu(self.norm2(branch)))
        return torch.cat([x, self.dropout(branch)], 1)


class Transition(nn.Module):
    """Half the channels by a 1x1 convolution, half the size by average pooling."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, inputs // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, inputs/2, H/2, W/2)."""
        return cast(Tensor, self.pool(self.conv(F.relu(self.norm(x)))))


class DenseNet(nn.Module):
    """Keys: features.{conv0,denseblock{1..3}.denselayer{i},transition{1,2},norm5}, classifier.

    The last norm is called norm5 after torchvision, which calls it so for any number of blocks.
    """

    def __init__(self, options: DenseNetOptions) -> None:
        super().__init__()
        channels = 2 * options.growth
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(options.image_channels, channels, 3, 1, 1, bias=False))
        for stage in (1, 2, 3):
            block = nn.Sequential()
            for layer in range((options.depth - 4) // 6):
                block.add_module(f"denselayer{layer + 1}", DenseLayer(channels, options.growth, options.dropout))
                channels += options.growth
            self.features.add_module(f"denseblock{stage}", block)
            if stage < 3:
                self.features.add_module(f"transition{stage}", Transition(channels))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, options.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        x = self.pool(F.relu(self.features(images)))
        return cast(Tensor, self.classifier(x.flatten(1)))


def build(options: DenseNetOptions) -> DenseNet:
    """A fresh DenseNet-BC."""
    network = DenseNet(options)
    initialise_(network)
    return network
