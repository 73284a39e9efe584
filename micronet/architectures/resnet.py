"""ResNet for ImageNet (He, Zhang, Ren and Sun 2016), with torchvision's keys."""

from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from micronet.architectures.layers import conv_norm, initialise_
from micronet.architectures.options import ResNetOptions

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Table 1 of the paper: blocks of each stage. From 50 layers on they are bottlenecks."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm; ReLU after the first and after the sum."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, width, H/stride, W/stride)."""
        branch = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(branch)) + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions. The stride is on the 3x3, as in torchvision; the paper has it on the first."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, 4 width, H/stride, W/stride)."""
        branch = F.relu(self.bn1(self.conv1(x)))
        branch = F.relu(self.bn2(self.conv2(branch)))
        return F.relu(self.bn3(self.conv3(branch)) + self.downsample(x))


class ResNet(nn.Module):
    """Keys: conv1, bn1, layer{1..4}.{i}.{conv1,bn1,...,downsample.0,downsample.1}, fc."""

    def __init__(self, options: ResNetOptions) -> None:
        super().__init__()
        block = BasicBlock if options.depth < 50 else Bottleneck
        stages, inputs = [], 64
        for index, count in enumerate(STAGES[options.depth]):
            width = 64 << index
            stages.append(_stage(block, inputs, width, 1 if index == 0 else 2, count))
            inputs = width * block.expansion
        self.conv1 = nn.Conv2d(options.image_channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, options.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, H, W)."""
        x = self.maxpool(F.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return cast(Tensor, self.fc(self.avgpool(x).flatten(1)))


def build(options: ResNetOptions) -> ResNet:
    """A fresh ResNet for ImageNet."""
    network = ResNet(options)
    initialise_(network)
    return network


def _stage(
    block: type[BasicBlock] | type[Bottleneck], inputs: int, width: int, stride: int, count: int
) -> nn.Sequential:
    blocks = [block(inputs, width, stride)]
    blocks += [block(width * block.expansion, width, 1) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


def _projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Shortcut B: a 1x1 convolution wherever the shape changes."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return conv_norm(inputs, outputs, 1, stride)
