"""How wide the sums of rounded filters are, for all of them at once: the ends of `analysis.accumulators`."""

from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.widths import FULL_WIDTH
from micronet.graph.grid import Grid


@dataclass(frozen=True, slots=True)
class OperandRange:
    """What filters multiply: integers from `low` to `high`, zero among them, times `step`."""

    low: int
    high: int
    step: float

    @classmethod
    def on(cls, grid: Grid, least: float) -> "OperandRange":
        """Values on `grid` of which none is below `least`, whatever the image."""
        step = grid.steps[0]
        return cls(min(0, max(grid.low, round(max(least / step, grid.low)))), max(grid.high, 0), step)


def sum_bits(integers: Tensor, exponents: Tensor, bias: Tensor | None, operands: OperandRange) -> Tensor:
    """(..., filters) int64: bits proven for weights `integers` (..., filters, terms) * 2^`exponents` (..., filters).

    The bias (filters,) is taken to lie on the grid of the products, where it will be put. It counts for a filter of
    zeros too, which sums nothing, because these bits are what its first weight would cost.
    """
    above, below = integers.clamp(min=0).sum(-1), integers.clamp(max=0).sum(-1)
    least, greatest = above * operands.low + below * operands.high, above * operands.high + below * operands.low
    if bias is not None:
        offset = (bias.double() / operands.step * powers(-exponents)).round()
        least, greatest = least + offset, greatest + offset
    furthest = torch.maximum(*(torch.where(end < 0, -end - 1, end) for end in (least, greatest)))
    return (torch.frexp(furthest).exponent.long() + 1).clamp(max=FULL_WIDTH)


def powers(exponents: Tensor) -> Tensor:
    """2^`exponents` (int64, any shape) in float64, exactly."""
    return torch.ldexp(torch.ones(exponents.shape, dtype=torch.float64), exponents)
