"""Rotation, shear and shift, pixel by pixel where pillow puts them: nearest sampling, zeros coming in."""

from collections.abc import Callable

import torch
from torch import Tensor

from micronet.evaluation.device import brought

Matrices = Callable[[Tensor, int, int], Tensor]
"""(N, 6) float64, from parameters float64 (N,), height and width.

Row by row (a, b, c, d, e, f): the pixel at (x, y) comes from (a x + b y + c, d x + e y + f), as in Image.transform.
"""


def affine(matrices: Matrices) -> Callable[[Tensor, Tensor], Tensor]:
    """The operation on uint8 images (N, C, H, W) that such matrices describe."""

    def apply(images: Tensor, parameters: Tensor) -> Tensor:
        return transformed(images, matrices(parameters, *images.shape[2:]))

    return apply


def transformed(images: Tensor, matrices: Tensor) -> Tensor:
    """Image.transform(size, AFFINE, matrix, NEAREST, fillcolor=0) of uint8 (N, C, H, W), each by its own of (N, 6).

    In 16.16 fixed point, as pillow does: pixel centres are at halves, coefficients are rounded to 2^-16 on the CPU, and
    the rest is integers. So every device and pillow take the same pixels.
    """
    a, b, c, d, e, f = matrices.unbind(1)
    centred = torch.stack([a, b, c + a * 0.5 + b * 0.5, d, e, f + d * 0.5 + e * 0.5])
    fixed = brought((centred * 65536 + 0.5).floor().long(), images.device).view(6, -1, 1, 1)
    height, width = images.shape[2:]
    y = torch.arange(height, device=images.device).view(-1, 1)
    x = torch.arange(width, device=images.device)
    from_x = (fixed[0] * x + fixed[1] * y + fixed[2]) >> 16
    from_y = (fixed[3] * x + fixed[4] * y + fixed[5]) >> 16
    inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
    at = torch.where(inside, from_y * width + from_x, 0).flatten(1).unsqueeze(1).expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, at).view_as(images) * inside.unsqueeze(1)


def rotation(degrees: Tensor, height: int, width: int) -> Tensor:
    """Counter-clockwise about the centre. Image.rotate, whose coefficients are rounded to 15 decimals."""
    angle = -torch.deg2rad(degrees)
    cosine, sine = angle.cos().round(decimals=15), angle.sin().round(decimals=15)
    x, y = width / 2, height / 2
    return torch.stack(
        [cosine, sine, x - cosine * x - sine * y, -sine, cosine, y + sine * x - cosine * y],
        1,
    )


def shear_x(shares: Tensor, _height: int, _width: int) -> Tensor:
    """Each row moved left by a share of its number: about the upper left corner, as in AutoAugment."""
    return _identity_but(1, shares)


def shear_y(shares: Tensor, _height: int, _width: int) -> Tensor:
    """Each column moved up by a share of its number."""
    return _identity_but(3, shares)


def translation_x(pixels: Tensor, _height: int, _width: int) -> Tensor:
    """Moved left."""
    return _identity_but(2, pixels)


def translation_y(pixels: Tensor, _height: int, _width: int) -> Tensor:
    """Moved up."""
    return _identity_but(5, pixels)


def _identity_but(place: int, values: Tensor) -> Tensor:
    matrices = torch.tensor([1.0, 0, 0, 0, 1, 0], dtype=torch.float64).repeat(len(values), 1)
    matrices[:, place] = values
    return matrices
