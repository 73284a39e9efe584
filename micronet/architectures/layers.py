"""Pieces that several networks share."""

import math
from collections.abc import Callable, Sequence
from typing import cast

from torch import Tensor, nn

Activation = Callable[[], nn.Module]


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int = 1,
    activation: Activation | None = None,
) -> nn.Sequential:
    """Convolution "0" that keeps the size up to `stride`, batch norm "1", and activation "2" if there is one."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(outputs)]
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate computed from all channel means (Hu et al. 2018), with torchvision's keys."""

    def __init__(self, channels: int, squeezed: int, activation: Activation) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = activation()
        self.scale_activation = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), scaled."""
        gate = self.activation(self.fc1(self.avgpool(x)))
        return cast(Tensor, x * self.scale_activation(self.fc2(gate)))


def round_channels(channels: float) -> int:
    """Nearest multiple of 8, at least 8 and never more than a tenth below `channels`.

    From MobileNet's reference code, which MobileNetV2 and EfficientNet share.
    """
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def strides_to(output_stride: int, strides: Sequence[int]) -> list[int]:
    """`strides`, of which the first are 1 so that their product is `output_stride`: small images keep their size."""
    found, left = list(strides), math.prod(strides)
    for index in range(len(found)):
        if left > output_stride:
            left //= found[index]
            found[index] = 1
    return found


def initialise_(network: nn.Module) -> None:
    """Fresh weights: Kaiming normal over each convolution's outputs (He et al. 2015), batch norms the identity.

    Linear layers keep torch's default. On the meta device there is nothing to fill, and torch would take seconds to
    import what knows that.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
