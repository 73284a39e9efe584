"""Rounding up or down, weight by weight, so that the layer's output changes least.

With the rest of the network fixed, the squared error of a layer's output is the quadratic form d E[x x^T] d^T of the
rounding errors d of each filter (Nagel et al. 2020, "Up or Down?", arXiv 2004.10568, section 3.1). They relax its
minimization over the two neighbours of each weight and let a gradient descend. Here it is descended on as it is:
weights are rounded one after the other, the error of each spread over those still to come (Frantar et al. 2022,
"Optimal Brain Compression", arXiv 2208.11580), then single steps are taken while any of them helps. No learning rate,
and the same bits every time; a weight may end beyond its neighbours where others make that worth while.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.optimization.moments import quadratic

SWEEPS = 10


@dataclass(frozen=True, slots=True)
class Rounding:
    """Filters on grids.

    integers   (filters, terms) float64, whole numbers
    exponents  (filters,) int64: a step is 2^exponent
    error      (filters,) of the quadratic form, against the weights that were rounded
    """

    integers: Tensor
    exponents: Tensor
    error: Tensor

    @property
    def rows(self) -> Tensor:
        """(filters, terms) float64: the weights."""
        return torch.ldexp(self.integers, self.exponents.unsqueeze(1))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters that are to be rounded.

    rows      (filters, terms) float64
    inputs    (groups, terms, terms) float64: the form the error is measured by
    factors   (filters, terms, terms): upper Cholesky factors of the inverse of each filter's own form
    """

    rows: Tensor
    inputs: Tensor
    factors: Tensor


def round_rows(wanted: Wanted, bits: int, sweeps: int = SWEEPS) -> Rounding:
    """On grids of `bits` bits, one exponent per filter, of least error.

    Zeros stay zero. The result is never worse than rounding every weight to the nearest point.
    """
    tops = _tops(wanted.rows, bits)
    best: Rounding | None = None
    for smaller in range(_PLACES):
        one = _at(wanted, bits, tops - smaller, sweeps)
        best = one if best is None else _better(best, one)
    assert best is not None
    return best


def nearest_placed(rows: Tensor, inputs: Tensor, bits: int) -> Rounding:
    """The same with nearest rounding: every filter on the grid of least error."""
    tops = _tops(rows, bits)
    return _better(nearest(rows, inputs, bits, tops), nearest(rows, inputs, bits, tops - 1))


def nearest(rows: Tensor, inputs: Tensor, bits: int, exponents: Tensor) -> Rounding:
    """Every weight at the nearest point of its filter's grid."""
    low, high = _ends(bits)
    integers = torch.ldexp(rows, -exponents.unsqueeze(1)).round().clamp(low, high)
    return _rounding(rows, inputs, integers, exponents)


def _at(wanted: Wanted, bits: int, exponents: Tensor, sweeps: int) -> Rounding:
    rows, inputs = wanted.rows, wanted.inputs
    plain = nearest(rows, inputs, bits, exponents)
    spread = _rounding(rows, inputs, _spread(wanted, bits, exponents), exponents)
    start = _better(plain, spread)
    return _rounding(rows, inputs, _descended(rows, inputs, start, bits, sweeps), exponents)


def _spread(wanted: Wanted, bits: int, exponents: Tensor) -> Tensor:
    """Integers, in order: what rounding a weight leaves over is spread over those behind it."""
    (low, high), rows, factors = _ends(bits), wanted.rows, wanted.factors
    left = torch.ldexp(rows, -exponents.unsqueeze(1))
    there = rows != 0
    integers = torch.zeros_like(rows)
    for term in range(rows.shape[1]):
        whole = torch.where(there[:, term], left[:, term].round().clamp(low, high), 0.0)
        integers[:, term] = whole
        share = torch.where(there[:, term], (left[:, term] - whole) / factors[:, term, term], 0.0)
        left[:, term + 1 :] -= share.unsqueeze(1) * factors[:, term, term + 1 :]
    return torch.where(there, integers, 0.0)


def _descended(rows: Tensor, inputs: Tensor, start: Rounding, bits: int, sweeps: int) -> Tensor:
    """Integers after single steps up or down, taken where they lower the error, term by term."""
    low, high = _ends(bits)
    integers, there = start.integers.clone(), rows != 0
    shape = (len(inputs), len(rows) // len(inputs), rows.shape[1])
    wanted = torch.ldexp(rows, -start.exponents.unsqueeze(1))
    slopes = ((integers - wanted).view(shape) @ inputs).flatten(0, 1)
    diagonal = inputs.diagonal(dim1=1, dim2=2)
    for _ in range(sweeps):
        moved = False
        for term in range(rows.shape[1]):
            curvature = diagonal[:, term].repeat_interleave(shape[1])
            step = -slopes[:, term].sign()
            there_to = integers[:, term] + step
            helps = there[:, term] & (2 * slopes[:, term].abs() > curvature * _MARGIN)
            helps &= (there_to >= low) & (there_to <= high)
            if not bool(helps.any()):
                continue
            step, moved = torch.where(helps, step, 0.0), True
            integers[:, term] += step
            slopes += (step.view(*shape[:2], 1) * inputs[:, term].unsqueeze(1)).flatten(0, 1)
        if not moved:
            break
    return integers


def _rounding(rows: Tensor, inputs: Tensor, integers: Tensor, exponents: Tensor) -> Rounding:
    change = torch.ldexp(integers, exponents.unsqueeze(1)) - rows
    return Rounding(integers, exponents, quadratic(change, inputs))


def _better(one: Rounding, other: Rounding) -> Rounding:
    """Filter by filter, the one of less error."""
    wins = other.error < one.error
    return Rounding(
        torch.where(wins.unsqueeze(1), other.integers, one.integers),
        torch.where(wins, other.exponents, one.exponents),
        torch.where(wins, other.error, one.error),
    )


def _tops(rows: Tensor, bits: int) -> Tensor:
    """(filters,): the smallest exponents that clip nothing, but for the one point that a sign takes.

    Filters of zeros take the layer's largest: their bias is in units of their products, and finer ones widen the sum.
    """
    largest = rows.abs().amax(1)
    largest = torch.where(largest > 0, largest, largest.max().clamp(min=1e-30))
    return torch.frexp(largest).exponent.long() - (bits - 1)


def _ends(bits: int) -> tuple[int, int]:
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


_PLACES = 3
"""Exponents that are tried: one that clips nothing, and two smaller ones."""
_MARGIN = 1 + 1e-9
"""A step has to help by more than rounding of sums, or two of them could go on forever."""
