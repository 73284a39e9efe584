"""WideResNet for CIFAR (Zagoruyko and Komodakis 2016)."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from micronet.architectures.layers import initialise_
from micronet.architectures.options import WideResNetOptions


class WideBlock(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU.

    Where the width changes the shortcut is a 1x1 convolution of the activated input, as in the authors' code.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        active = F.relu(self.bn1(x))
        branch = F.relu(self.bn2(self.conv1(active)))
        branch = self.conv2(self.dropout(branch))
        return cast(Tensor, branch + (x if self.shortcut is None else self.shortcut(active)))


class WideResNet(nn.Module):
    """Keys: conv1, layer{1,2,3}.{i}.{bn1,conv1,bn2,conv2,shortcut}, bn, fc."""

    def __init__(self, options: WideResNetOptions) -> None:
        super().__init__()
        k = options.width
        self.conv1 = nn.Conv2d(options.image_channels, 16, 3, 1, 1, bias=False)
        self.layer1 = _stage(16, 16 * k, 1, options)
        self.layer2 = _stage(16 * k, 32 * k, 2, options)
        self.layer3 = _stage(32 * k, 64 * k, 2, options)
        self.bn = nn.BatchNorm2d(64 * k)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64 * k, options.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        x = self.layer3(self.layer2(self.layer1(self.conv1(images))))
        x = self.pool(F.relu(self.bn(x)))
        return cast(Tensor, self.fc(x.flatten(1)))


def build(options: WideResNetOptions) -> WideResNet:
    """A fresh WideResNet."""
    network = WideResNet(options)
    initialise_(network)
    return network


def _stage(inputs: int, outputs: int, stride: int, options: WideResNetOptions) -> nn.Sequential:
    blocks = [WideBlock(inputs, outputs, stride, options.dropout)]
    blocks += [WideBlock(outputs, outputs, 1, options.dropout) for _ in range((options.depth - 4) // 6 - 1)]
    return nn.Sequential(*blocks)
