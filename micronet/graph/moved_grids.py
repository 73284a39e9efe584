"""The grids of quantized tensors that are only moved about: where an element goes, its step goes along."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micronet.graph.grid import Grid

Move = Callable[[list[Tensor]], Sequence[Tensor]]
"""Gives of tensors one or several whose elements are all among theirs."""


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Which steps of a grid the elements of a tensor are on.

    table     a grid with all these steps and their zero points
    numbers   of the shape of the tensor, int32: where in the table each element's step is
    """

    table: Grid
    numbers: Tensor

    def grid(self) -> Grid | None:
        """The grid of the tensor; None where it has several steps, and no axis of which each index has one."""
        numbers = self.numbers
        for axis in (None, *range(numbers.dim())) if numbers.numel() and not numbers.is_meta else ():
            others = [other for other in range(numbers.dim()) if other != axis]
            least, most = (numbers.amin(others), numbers.amax(others)) if others else (numbers, numbers)
            if torch.equal(least, most):
                places = least.reshape(-1).tolist()
                steps = tuple(self.table.steps[place] for place in places)
                offsets = tuple(self.table.zero_points[place] for place in places)
                return replace(self.table, axis=axis, steps=steps, zero_points=offsets)
        return None


def steps_of(shape: Sequence[int], grid: Grid) -> Steps:
    """The steps of a tensor that lies on `grid`."""
    numbers = torch.arange(len(grid.steps), dtype=torch.int32)
    along = [-1 if axis == grid.axis else 1 for axis in range(len(shape))]
    return Steps(grid, numbers.reshape(along).expand(tuple(shape)))


def moved_steps(sources: Sequence[Steps], move: Move, shapes: Sequence[Sequence[int]]) -> list[Steps] | None:
    """The steps of each tensor that `move` gives of quantized ones, which have these `shapes`.

    None where the sources differ in more than steps and zero points. Where the steps go is read off their numbers,
    moved in the same way.
    """
    table, joined = sources[0].table, sources
    if any(source.table != table for source in sources):
        if len({(one.table.bits, one.table.low, one.table.high) for one in sources}) > 1:
            return None
        table, joined = _joined(sources)
    if len(table.steps) == 1:
        return [steps_of(shape, table) for shape in shapes]
    return [Steps(table, part) for part in move([source.numbers for source in joined])]


def _joined(sources: Sequence[Steps]) -> tuple[Grid, list[Steps]]:
    """One table for all, and the sources with their places in it."""
    steps = tuple(step for source in sources for step in source.table.steps)
    offsets = tuple(offset for source in sources for offset in source.table.zero_points)
    table, first, joined = replace(sources[0].table, steps=steps, zero_points=offsets), 0, list[Steps]()
    for source in sources:
        joined.append(Steps(table, source.numbers + first))
        first += len(source.table.steps)
    return table, joined
