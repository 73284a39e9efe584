"""The values a quantized tensor may take, and rounding to them."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_EXPONENTS = 50
"""Of a step, up or down: a bias may be finer than products by 24 bits, and float32 goes down to 2^-126."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Integers `low..high` of `bits` bits, standing for `(integer - zero_point) * step`.

    One step and zero point for the whole tensor (`axis` None), or one per index along `axis`.
    Fixed point (SCORING section 6) is the case of zero points 0 and steps that are powers of two.
    """

    bits: int
    low: int
    high: int
    steps: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int | None = None

    @property
    def is_fixed_point(self) -> bool:
        """Whether a value is an integer shifted by a whole number of bits, so that no conversion is ever computed."""
        return not any(self.zero_points) and all(math.frexp(step)[0] == 0.5 for step in self.steps)

    @property
    def has_common_steps(self) -> bool:
        """Whether products of values of two such grids, and sums of these that fit 24 bits, are far from the largest
        number of float32 and from the smallest that it holds in full."""
        return all(2.0**-_EXPONENTS <= step <= 2.0**_EXPONENTS for step in self.steps)

    def points(self) -> tuple[int, ...]:
        """Binary points of a fixed-point grid: how many bits behind the point, step = 2^-point."""
        return tuple(1 - math.frexp(step)[1] for step in self.steps)


def fixed_point(bits: int, points: tuple[int, ...], axis: int | None = None) -> Grid:
    """Two's complement of `bits` bits whose binary point is `points` bits from the right: step = 2^-point."""
    half = 1 << (bits - 1)
    return Grid(bits, -half, half - 1, tuple(2.0**-p for p in points), (0,) * len(points), axis)


def on_grid(values: Tensor, grid: Grid) -> Tensor:
    """`values` rounded (half to even) to the grid and clipped to its ends; at most half a step off in between."""
    steps, offsets = along_axis(values, grid)
    points = values / steps  # the one tensor made: each more would be a pass through memory
    if any(grid.zero_points):
        return points.add_(offsets).clamp_(grid.low, grid.high).round_().sub_(offsets).mul_(steps)
    return points.clamp_(grid.low, grid.high).round_().mul_(steps)


def along_axis(values: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Steps and zero points of the grid, in the type of `values` and ready to broadcast against them."""
    steps = torch.tensor(grid.steps, dtype=values.dtype)
    offsets = torch.tensor(grid.zero_points, dtype=values.dtype)
    if grid.axis is not None:
        shape = [-1 if axis == grid.axis else 1 for axis in range(values.dim())]
        steps, offsets = steps.view(shape), offsets.view(shape)
    return steps, offsets
