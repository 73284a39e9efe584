"""A network of a few thousand parameters for the embedded track: 8x8 handwritten digits."""

from typing import cast

from torch import Tensor, nn

from micronet.architectures.layers import initialise_
from micronet.architectures.options import DigitsOptions


class Digits(nn.Module):
    """Keys: conv1, bn1, conv2, bn2, fc."""

    def __init__(self, options: DigitsOptions) -> None:
        super().__init__()
        width = options.width
        self.conv1 = nn.Conv2d(options.image_channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.relu2 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(2 * width, options.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 1, H, W)."""
        x = self.relu1(self.bn1(self.conv1(images)))
        x = self.relu2(self.bn2(self.conv2(x)))
        return cast(Tensor, self.fc(self.pool(x).flatten(1)))


def build(options: DigitsOptions) -> Digits:
    """A fresh network for digits."""
    network = Digits(options)
    initialise_(network)
    return network
