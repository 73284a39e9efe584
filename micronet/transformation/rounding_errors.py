"""What rounding to a grid does to values: how many it clips, and how large the error is beside the values."""

from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.graph.grid import Grid, along_axis

CHUNK = 2**17
"""Values looked at in one go: what is computed of them stays in a processor's cache, and leaves no holes in memory."""


@dataclass(frozen=True, slots=True)
class RoundingError:
    """Of `values` numbers, `clipped` would round beyond an end of the grid; sums of squares of errors and of values."""

    values: int
    clipped: int
    squared_error: float
    squares: float

    @property
    def relative(self) -> float:
        """Squared error over the squares of the values themselves; 0 where all of them are 0."""
        return self.squared_error / self.squares if self.squares else 0.0


def rounding_error(values: Tensor, grid: Grid) -> RoundingError:
    """Of `values`, any shape, against what `on_grid` makes of them."""
    return _of(values.numel(), _sums(values, grid))


class ErrorObserver:
    """Gathers the rounding error of a value, batch by batch; it has the methods that calibration calls."""

    def __init__(self, grid: Grid) -> None:
        self._grid, self._values = grid, 0
        self._sums = torch.zeros(3, dtype=torch.float64)

    def measure(self, values: Tensor) -> Tensor:
        """Sums of (groups, values per group), and how many values there were."""
        return torch.cat([_sums(values, self._grid), torch.tensor([values.numel()], dtype=torch.float64)])

    def take(self, measurements: Tensor) -> None:
        """Add them up."""
        self._sums = self._sums + measurements[:3]
        self._values += int(measurements[3])

    def error(self) -> RoundingError:
        """Of all values seen."""
        return _of(self._values, self._sums)


def _of(values: int, sums: Tensor) -> RoundingError:
    clipped, squared_error, squares = sums.tolist()
    return RoundingError(values, int(clipped), squared_error, squares)


def _sums(values: Tensor, grid: Grid) -> Tensor:
    """(3,) float64: values beyond the ends, sum of squared errors, sum of squares."""
    if grid.axis is not None or values.numel() <= CHUNK:
        return _chunk_sums(values, grid)
    return torch.stack([_chunk_sums(chunk, grid) for chunk in torch.split(values.reshape(-1), CHUNK)]).sum(0)


def _chunk_sums(values: Tensor, grid: Grid) -> Tensor:
    steps, zeros = along_axis(values, grid)
    integers = values.div(steps).add_(zeros).round_()
    inside = integers.clamp(grid.low, grid.high)
    clipped = torch.count_nonzero(integers.ne(inside)).double()
    errors = inside.sub_(zeros).mul_(steps).sub_(values)
    norms = torch.stack([torch.linalg.vector_norm(errors), torch.linalg.vector_norm(values)])
    return torch.cat([clipped.reshape(1), norms.double().square()])
