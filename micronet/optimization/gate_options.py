"""What a hard swish in steps could be: how wide the value it reads is, and everything that follows from that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from micronet.analysis.counts import LayerCounts
from micronet.analysis.operations import Operations
from micronet.optimization.hard_swish import grid_of_clip, grid_of_sum
from micronet.optimization.layer_options import LayerScore
from micronet.optimization.placement import PlacedGrid, PlacementRule

LEAST = -3.0
"""Of what a hard swish tells apart: everything below gives 0."""


@dataclass(frozen=True, slots=True)
class GateOption:
    """Bits of a value and by which rule its grid was placed, what they cost in parts of the score, and the squared
    change of the logits. Journals hold them by these names."""

    bits: int
    rule: PlacementRule
    loss: float
    cost: float


def gate_options(elements: int, grids: Sequence[PlacedGrid], layer_score: LayerScore) -> Iterator[GateOption]:
    """Of a value that a gate reads, `elements` of it for one image, on each of `grids`."""
    for one in grids:
        grid, bits = one.grid, one.grid.bits
        added, clipped = grid_of_sum(grid).bits, grid_of_clip(grid).bits
        steps = (
            (Operations(0, elements), bits),
            (Operations(2 * elements), added),
            (Operations(elements), max(bits, clipped)),
        )
        yield GateOption(
            bits, one.rule, one.noise, sum(layer_score(_counts(operations, width)) for operations, width in steps)
        )


def _counts(operations: Operations, bits: int) -> LayerCounts:
    return LayerCounts("", "", (), operations, (), None, bits)
