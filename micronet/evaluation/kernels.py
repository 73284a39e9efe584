"""Fast equivalents of a few operations on the CPU, and what they need to know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from micronet.graph.geometry import Geometry
from micronet.graph.grid import Grid

Kernel = Callable[..., Tensor]


@dataclass(frozen=True, slots=True)
class Epilogue:
    """What a convolution does to each sum before it writes it, in the words of oneDNN's fused kernels."""

    name: str = "none"
    scalars: tuple[float, ...] = ()
    algorithm: str = ""


NO_EPILOGUE = Epilogue()


def fused_convolution(
    weight: Tensor, bias: Tensor | None, how: Geometry, epilogue: Epilogue, input_size: Sequence[int]
) -> Kernel:
    """oneDNN's convolution with the weights laid out beforehand and the epilogue applied in registers.

    These are the kernels torch.compile calls when it freezes a network. `input_size` is the batch it is laid out for;
    others are right, and may be slower.
    """
    stride, padding, dilation = list(how.stride), list(how.padding), list(how.dilation)
    ops = torch.ops.mkldnn
    laid_out = ops._reorder_convolution_weight(weight, padding, stride, dilation, how.groups, list(input_size))
    scalars = list(epilogue.scalars)

    def run(x: Tensor) -> Tensor:
        result = ops._convolution_pointwise.default(
            x, laid_out, bias, padding, stride, dilation, how.groups, epilogue.name, scalars, epilogue.algorithm
        )
        return cast(Tensor, result)

    return run


def pointwise_convolution(weight: Tensor, bias: Tensor | None) -> Kernel:
    """A 1x1 convolution of stride 1 as the matrix product it is: on small images a call of oneDNN costs more than its
    arithmetic. Input and result are channels last in memory, so that no value moves."""
    matrix = weight.flatten(1).t().contiguous()

    def run(x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 3, 1)
        flat = rows.reshape(-1, rows.shape[3])
        product = flat @ matrix if bias is None else torch.addmm(bias, flat, matrix)
        return product.view(*rows.shape[:3], -1).permute(0, 3, 1, 2)

    return run


def rounding_constant(grid: Grid) -> float | None:
    """c such that (x + c) - c is x rounded, half to even, to a multiple of the grid's step; None where it is not exact.

    Float32 numbers in [2^23, 2^24) are whole numbers, so adding 1.5 * 2^23 steps leaves no bit below one step: the
    processor's own rounding does it. Exact while |x| <= 2^22 steps, which clipping to 22 bits or fewer ensures.
    """
    if grid.axis is not None or not grid.is_fixed_point or not grid.has_common_steps or grid.bits > 22:
        return None
    return 1.5 * 2.0**23 * grid.steps[0]


def clip_ends(grid: Grid) -> tuple[float, float]:
    """Smallest and largest value of a grid of one step."""
    zero_point = grid.zero_points[0]
    return (grid.low - zero_point) * grid.steps[0], (grid.high - zero_point) * grid.steps[0]


def round_to_grid_(x: Tensor, constant: float) -> Tensor:
    """Round clipped values in place, in two fast passes instead of one slow one."""
    return x.add_(constant).sub_(constant)
