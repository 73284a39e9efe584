"""ResNet for CIFAR (He, Zhang, Ren and Sun 2016, section 4.2)."""

from typing import Literal, cast

from torch import Tensor, nn
from torch.nn import functional as F

from micronet.architectures.layers import conv_norm, initialise_
from micronet.architectures.options import CifarResNetOptions


class Subsample(nn.Module):
    """Shortcut A: every second pixel, new channels zero.

    The zeros go half before and half after, as in the code most published weights come from; the paper does not say.
    """

    def __init__(self, stride: int, new_channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = new_channels // 2
        self.after = new_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C + new, H/stride, W/stride)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


class CifarBlock(nn.Module):
    """Two 3x3 convolutions with batch norm; ReLU after the first and after the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int, shortcut: Literal["A", "B"]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 and shortcut == "A":
            self.shortcut = Subsample(stride, outputs - inputs)
        elif stride != 1:
            self.shortcut = conv_norm(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H/stride, W/stride)."""
        branch = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(branch)) + self.shortcut(x))


class CifarResNet(nn.Module):
    """Keys: conv1, bn1, layer{1,2,3}.{i}.{conv1,bn1,conv2,bn2,shortcut.0,shortcut.1}, linear."""

    def __init__(self, options: CifarResNetOptions) -> None:
        super().__init__()
        width = options.width
        self.conv1 = nn.Conv2d(options.image_channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, 1, options)
        self.layer2 = _stage(width, 2 * width, 2, options)
        self.layer3 = _stage(2 * width, 4 * width, 2, options)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(4 * width, options.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return cast(Tensor, self.linear(self.pool(x).flatten(1)))


def build(options: CifarResNetOptions) -> CifarResNet:
    """A fresh ResNet for CIFAR."""
    network = CifarResNet(options)
    initialise_(network)
    return network


def _stage(inputs: int, outputs: int, stride: int, options: CifarResNetOptions) -> nn.Sequential:
    blocks = [CifarBlock(inputs, outputs, stride, options.shortcut)]
    blocks += [CifarBlock(outputs, outputs, 1, options.shortcut) for _ in range((options.depth - 2) // 6 - 1)]
    return nn.Sequential(*blocks)
