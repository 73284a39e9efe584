"""Fixed-point rounding of a layer's output, with the binary point a file gives."""

import torch
from torch import Tensor, nn

POINTS = range(-32, 33)
"""Binary points we take: steps from 2^32 to 2^-32 hold every activation a network of floats can mean."""
WIDTHS = range(2, 33)
"""Bit widths we take, sign included."""


class Quantizer(nn.Module):
    """Rounds, half to even, to the grid of step 2^-point and `bits` bits; with no `bits`, the identity.

    The point is both a buffer, so that files keep their keys, and a Python number, so that a captured graph
    has the step as a constant.
    """

    forward_bp: Tensor

    def __init__(self, point: int, bits: int | None) -> None:
        super().__init__()
        self.register_buffer("forward_bp", torch.tensor(float(point)))
        self.point = point
        self.bits = bits

    def forward(self, x: Tensor) -> Tensor:
        """Values of any shape, on the grid."""
        if self.bits is None:
            return x
        half = 1 << (self.bits - 1)
        return torch.fake_quantize_per_tensor_affine(x, 2.0**-self.point, 0, -half, half - 1)

    def extra_repr(self) -> str:
        """Point and width, for repr."""
        return f"point={self.point}, bits={self.bits}"
