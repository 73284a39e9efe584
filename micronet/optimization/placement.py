"""Where the grid of a value lies: by the squared error of the value, or by what that does to the answers.

Large values of a channel that hardly counts make the grid of least squared error too coarse for all other channels:
finer steps that clip such values moved the answers of KAIST's pr45 several times less, before depthwise layers most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from micronet.graph.grid import Grid

PlacementRule = Literal["error", "answers"]


@dataclass(frozen=True, slots=True)
class PlacedGrid:
    """A grid, by which rule it was placed, and how far it moves the logits (squared change)."""

    grid: Grid
    rule: PlacementRule
    noise: float

    def facts(self) -> dict[str, Any]:
        """As JSON knows them."""
        grid = self.grid
        return {"ends": (grid.low, grid.high), "step": grid.steps[0], "rule": self.rule, "noise": self.noise}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "PlacedGrid":
        """What `facts` gave."""
        low, high = facts["ends"]
        grid = Grid((high - low).bit_length(), low, high, (facts["step"],), (0,))
        return cls(grid, facts["rule"], facts["noise"])


def placed_grids(grids: Sequence[Grid], noises: Sequence[float]) -> list[PlacedGrid]:
    """By either rule, of each width; one grid where both agree.

    `grids` are those of one width after the other, the first of each that of least squared error, and `noises` how far
    they move the logits.
    """
    found: list[PlacedGrid] = []
    for _, same in groupby(zip(grids, noises, strict=True), key=lambda pair: pair[0].bits):
        pairs = list(same)
        best = min(pairs, key=lambda pair: pair[1])
        found.append(PlacedGrid(pairs[0][0], "error", pairs[0][1]))
        if best is not pairs[0]:
            found.append(PlacedGrid(best[0], "answers", best[1]))
    return found
