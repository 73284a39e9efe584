"""PyramidNet for CIFAR (Han, Kim and Kim 2017), with the keys of Fast AutoAugment's code."""

from collections.abc import Iterator
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from micronet.architectures.layers import initialise_
from micronet.architectures.options import PyramidNetOptions
from micronet.architectures.shakedrop import ShakeDrop

STEM_CHANNELS = 16
LAST_DROP_PROBABILITY = 0.5


class PyramidBlock(nn.Module):
    """Residual block of 2 (basic) or 3 (bottleneck) convolutions, batch norm before and after each, no ReLU at its end.

    The shortcut has no weights: 2x2 average pooling where the stride is 2, and zeros for the channels it lacks.
    """

    def __init__(self, inputs: int, width: int, stride: int, bottleneck: bool, drop_probability: float) -> None:
        super().__init__()
        outputs = width * expansion(bottleneck)
        self.bn1 = nn.BatchNorm2d(inputs)
        if bottleneck:
            self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(width)
            self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
            self.bn4 = nn.BatchNorm2d(outputs)
        else:
            self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, outputs, 3, 1, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = nn.AvgPool2d(2) if stride == 2 else nn.Identity()
        self.shake_drop = ShakeDrop(drop_probability)
        self.bottleneck = bottleneck
        self.new_channels = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        branch = self.bn2(self.conv1(self.bn1(x)))
        branch = self.bn3(self.conv2(self.relu(branch)))
        if self.bottleneck:
            branch = self.bn4(self.conv3(self.relu(branch)))
        shortcut = self.downsample(x)
        if self.new_channels:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.new_channels))
        return cast(Tensor, self.shake_drop(branch) + shortcut)


class PyramidNet(nn.Module):
    """Stem, three stages of blocks whose width grows by alpha/blocks each, batch norm, ReLU, mean, linear layer."""

    def __init__(self, options: PyramidNetOptions) -> None:
        super().__init__()
        stages = [nn.Sequential(*blocks) for blocks in _stages(options)]
        features = _widths(options)[-1] * expansion(options.bottleneck)
        self.conv1 = nn.Conv2d(options.image_channels, STEM_CHANNELS, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.layer1, self.layer2, self.layer3 = stages
        self.bn_final = nn.BatchNorm2d(features)
        self.relu_final = nn.ReLU()
        self.avgpool = nn.AvgPool2d(options.image_size // 4)
        self.fc = nn.Linear(features, options.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        x = self.bn1(self.conv1(images))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = self.avgpool(self.relu_final(self.bn_final(x)))
        return cast(Tensor, self.fc(x.flatten(1)))


def build(options: PyramidNetOptions) -> PyramidNet:
    """A fresh PyramidNet."""
    network = PyramidNet(options)
    initialise_(network)
    return network


def expansion(bottleneck: bool) -> int:
    """Output channels of a block per channel of its width."""
    return 4 if bottleneck else 1


def _widths(options: PyramidNetOptions) -> list[int]:
    """Width of each block: 16 + k * alpha / blocks, rounded half to even.

    Summed term by term as the original does; a product could round the other way at a half.
    """
    blocks = 3 * options.blocks_per_stage
    width, widths = float(STEM_CHANNELS), []
    for _ in range(blocks):
        width += options.alpha / blocks
        widths.append(round(width))
    return widths


def _stages(options: PyramidNetOptions) -> Iterator[list[PyramidBlock]]:
    """Blocks of each stage. Block k of L drops with probability 0.5 * k / L: the linear rule of ShakeDrop."""
    per_stage, widths = options.blocks_per_stage, _widths(options)
    inputs = [STEM_CHANNELS, *(width * expansion(options.bottleneck) for width in widths)]
    for stage in range(3):
        blocks = []
        for k in range(stage * per_stage, (stage + 1) * per_stage):
            stride = 2 if stage > 0 and k == stage * per_stage else 1
            drop = LAST_DROP_PROBABILITY * (k + 1) / len(widths) if options.shakedrop else 0.0
            blocks.append(PyramidBlock(inputs[k], widths[k], stride, options.bottleneck, drop))
        yield blocks
