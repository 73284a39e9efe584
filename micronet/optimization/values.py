"""What a hard swish in steps could be: how wide the value it reads is, and everything that follows from that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from micronet.analysis.counts import LayerCounts
from micronet.analysis.operations import Operations
from micronet.optimization.hard_swish import grid_of_clip, grid_of_sum
from micronet.optimization.options import Price
from micronet.optimization.ranges import Range, Rule

LEAST = -3.0
"""Of what a hard swish tells apart: everything below gives 0."""


@dataclass(frozen=True, slots=True)
class ValueOption:
    """Bits of a value and by which rule its grid was placed, what they cost in parts of the score, and the squared
    change of the logits."""

    bits: int
    rule: Rule
    loss: float
    cost: float


def value_options(elements: int, ranges: Sequence[Range], price: Price) -> Iterator[ValueOption]:
    """Of a value that a gate reads, `elements` of it for one image, on each of `ranges`."""
    for one in ranges:
        grid, bits = one.grid, one.grid.bits
        added, clipped = grid_of_sum(grid).bits, grid_of_clip(grid).bits
        steps = (
            (Operations(0, elements), bits),
            (Operations(2 * elements), added),
            (Operations(elements), max(bits, clipped)),
        )
        yield ValueOption(
            bits, one.rule, one.noise, sum(price(_counts(operations, width)) for operations, width in steps)
        )


def _counts(operations: Operations, bits: int) -> LayerCounts:
    return LayerCounts("", "", (), operations, (), None, bits)
