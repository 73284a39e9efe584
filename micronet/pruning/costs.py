"""What a block costs, from its tensors and from its sizes alone, and what removing directions of it saves."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micronet.analysis.shapes import Shapes
from micronet.graph.ir import Ref
from micronet.pruning.blocks import CORE, ROTATION_IN, ROTATION_OUT, Block, PartName
from micronet.pruning.pieces import Pieces
from micronet.pruning.selection import Side
from micronet.transformation.linear_layers import Cost, LinearLayer

Form = tuple[PartName, ...]
PARTS: Form = (ROTATION_IN, CORE, ROTATION_OUT)
NOTHING = Cost(0, 0, 0, 0)


def cost(block: Block, pieces: Pieces, known: Shapes) -> Cost:
    """Of the tensors as they are: zeros are stored, and neither counted as non-zeros nor multiplied by."""
    before, after = positions(block, known)
    total = NOTHING
    for name, part in pieces.parts():
        bias = None if part.bias is None else part.bias.float()
        layer = LinearLayer(block.core, part.weight.float(), bias)
        total += layer.cost(before if name == ROTATION_IN else after)
    return total


def price(of: Cost) -> int:
    """One number to choose by: non-zeros plus multiplications."""
    return of.nonzero + of.multiplications


def positions(block: Block, known: Shapes) -> tuple[int, int]:
    """At how many places of an image a rotation in is computed, and the core and a rotation out."""
    source = block.nodes[0].args[0]
    assert isinstance(source, Ref)
    axis = 1 if block.is_convolution else -1
    before, after = (known[name] for name in (source.name, block.core.name))
    return math.prod(before) // before[axis], math.prod(after) // after[axis]


def is_padded(block: Block) -> bool:
    """Whether its core reads zeros beside the image, which a rotation in with a bias would not give."""
    return block.is_convolution and block.padding != (0, 0)


@dataclass(frozen=True, slots=True)
class Sizes:
    """A block in numbers: what its forms cost with however many directions, if none of their weights is zero.

    inputs, outputs       channels that come in and go out
    taps                  of the kernel
    before, after         positions that a rotation in is computed at, and the core and a rotation out
    kept_inputs, kept_outputs      of the core
    rotated_in, rotated_out        whether there are rotations already
    biased                the parts that have a bias
    is_padded             as of a block
    """

    inputs: int
    outputs: int
    taps: int
    before: int
    after: int
    kept_inputs: int
    kept_outputs: int
    rotated_in: bool
    rotated_out: bool
    biased: frozenset[PartName]
    is_padded: bool

    @classmethod
    def of(cls, block: Block, pieces: Pieces, known: Shapes) -> "Sizes":
        """Those of `pieces` in the block's place."""
        outputs, inputs, *kernel = pieces.core.weight.shape
        return cls(
            pieces.inputs,
            pieces.outputs,
            math.prod(kernel),
            *positions(block, known),
            inputs,
            outputs,
            pieces.rotation_in is not None,
            pieces.rotation_out is not None,
            frozenset(name for name, part in pieces.parts() if part.bias is not None),
            is_padded(block),
        )

    def forms(self, fewer_inputs: int, fewer_outputs: int) -> Iterator[tuple[Form, Cost]]:
        """Every form of a block with so many fewer directions, as `merging.forms` makes them."""
        into, out = self.rotated_in or fewer_inputs > 0, self.rotated_out or fewer_outputs > 0
        held = ROTATION_IN in self.biased and self.is_padded
        for has_in in (True, False) if into and not held else (into,):
            for has_out in (True, False) if out else (False,):
                yield self._form(has_in, has_out, fewer_inputs, fewer_outputs)

    def _form(self, has_in: bool, has_out: bool, fewer_inputs: int, fewer_outputs: int) -> tuple[Form, Cost]:
        inner, outer = self.kept_inputs - fewer_inputs, self.kept_outputs - fewer_outputs
        bias_in, bias_core, bias_out = (part in self.biased for part in (ROTATION_IN, CORE, ROTATION_OUT))
        if fewer_outputs or not has_out:  # a bias is added after the last rotation that goes in or is new
            bias_core, bias_out = not has_out and (bias_core or bias_out), has_out and (bias_core or bias_out)
        terms = (inner if has_in else self.inputs) * self.taps
        parts = {
            CORE: _dense(outer if has_out else self.outputs, terms, self.after, bias_core or (bias_in and not has_in))
        }
        if has_in:
            parts[ROTATION_IN] = _dense(inner, self.inputs, self.before, bias_in)
        if has_out:
            parts[ROTATION_OUT] = _dense(self.outputs, outer, self.after, bias_out)
        return tuple(part for part in PARTS if part in parts), sum(parts.values(), NOTHING)


@dataclass(frozen=True, slots=True)
class Savings:
    """What removing directions of a block of such `sizes` saves, where it may cost `most`; 0 where it does not pay.

    It pays where the cheapest form with fewer directions is cheaper than what there is, whatever weighs what no more
    than `most`, and has a rotation on each side that directions go from: a form without would keep its size and lose
    them for nothing.
    """

    sizes: Sizes
    most: Cost

    def saved(self, inputs: int, outputs: int) -> int:
        """With so many fewer inputs and outputs of the core."""
        less = [(price(cost), form) for form, cost in self.sizes.forms(inputs, outputs) if cost.is_at_most(self.most)]
        if not less:
            return 0
        cheapest, form = min(less, key=lambda one: (one[0], len(one[1])))
        if (inputs and ROTATION_IN not in form) or (outputs and ROTATION_OUT not in form):
            return 0
        return max(0, self._there() - cheapest)

    def along(self, side: Side, other: int, up_to: int) -> NDArray[np.int64]:
        """`saved` of 0, 1, ... and `up_to` directions of a side, with `other` of the other side gone.

        Every cost of a form is linear in the directions of one side, so one and two of them tell all the rest.
        """

        def both(many: int) -> tuple[int, int]:
            return (many, other) if side == "inputs" else (other, many)

        one, two = (dict(self.sizes.forms(*both(many))) for many in (1, 2))
        names = sorted(one, key=len)  # stable: of equal ones `saved` takes the first too
        first, second = (np.array([_kinds(some[name]) for name in names], np.int64) for some in (one, two))
        further = np.arange(up_to)[:, None, None]
        costs = first + further * (second - first)  # (directions - 1, forms, kinds of cost)
        allowed = (costs <= np.array(_kinds(self.most), np.int64)).all(2)
        prices = np.where(allowed, costs[:, :, 1] + costs[:, :, 2], _NEVER)
        needed = {ROTATION_IN: side == "inputs" or other > 0, ROTATION_OUT: side == "outputs" or other > 0}
        whole = np.array([all(part in name for part, needs in needed.items() if needs) for name in names])
        saved = np.where(whole[prices.argmin(1)], self._there() - prices.min(1), 0)
        return np.concatenate([[self.saved(*both(0))], np.maximum(saved, 0)])

    def _there(self) -> int:
        """The price of what there is."""
        there = (price(cost) for _, cost in self.sizes.forms(0, 0) if cost.is_at_most(self.most))
        return min(there, default=price(self.most))


_NEVER = np.iinfo(np.int64).max
"""The price of a form that costs too much of something."""


def _kinds(cost: Cost) -> tuple[int, int, int, int]:
    return cost.elements, cost.nonzero, cost.multiplications, cost.additions


def _dense(outputs: int, terms: int, at: int, biased: bool) -> Cost:
    """A layer whose outputs sum so many terms each, at so many positions."""
    weights = outputs * terms
    stored = weights + (outputs if biased else 0)
    return Cost(stored, stored, at * weights, at * outputs * max(terms + biased - 1, 0))
