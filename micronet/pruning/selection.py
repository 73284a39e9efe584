"""Which directions go: the least salient of all layers together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Side = Literal["inputs", "outputs"]
SIDES: tuple[Side, Side] = ("inputs", "outputs")


@dataclass(frozen=True, slots=True)
class Direction:
    """Direction `index` of one side of a block's core, and the loss that removing it alone costs."""

    block: str
    side: Side
    index: int
    saliency: float


def least_salient(saliencies: Mapping[str, tuple[Tensor, Tensor]], ratio: float, limit: float) -> list[Direction]:
    """The share `ratio` of all directions, inputs and outputs of every block together, that cost the least loss.

    Of one side of a block at most the share `limit` goes, and one direction stays. The least salient comes first; equal
    ones in the order of the network. Saliencies add up as if directions did not share weights: those that two removed
    ones have in common count twice, which errs on the side of keeping.
    """
    everything = [
        Direction(block, side, index, saliency)
        for block, both in saliencies.items()
        for side, values in zip(SIDES, both, strict=True)
        for index, saliency in enumerate(values.tolist())
    ]
    room = {
        (block, side): min(len(values) - 1, math.floor(limit * len(values)))
        for block, both in saliencies.items()
        for side, values in zip(SIDES, both, strict=True)
    }
    chosen: list[Direction] = []
    for direction in sorted(everything, key=lambda direction: direction.saliency):
        if len(chosen) >= max(1, math.floor(ratio * len(everything))):
            break
        if room[direction.block, direction.side]:
            room[direction.block, direction.side] -= 1
            chosen.append(direction)
    return chosen


def indices(directions: list[Direction], block: str, side: Side) -> list[int]:
    """Those of one side of a block, in order."""
    return sorted(d.index for d in directions if (d.block, d.side) == (block, side))


def others(size: int, removed: list[int]) -> Tensor | None:
    """Indices, int64, that are not in `removed`; None where nothing is removed."""
    if not removed:
        return None
    gone = set(removed)
    return torch.tensor([index for index in range(size) if index not in gone], dtype=torch.int64)
