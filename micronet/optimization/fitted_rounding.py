"""Rounding up or down, weight by weight, so that the layer's output changes least.

With the rest of the network fixed, the squared error of a layer's output is the quadratic form d E[x x^T] d^T of the
rounding errors d of each filter (Nagel et al. 2020, "Up or Down?", arXiv 2004.10568, section 3.1). They relax its
minimization over the two neighbours of each weight and let a gradient descend. Here it is descended on as it is:
weights are rounded one after the other, the error of each spread over those still to come (Frantar et al. 2022,
"Optimal Brain Compression", arXiv 2208.11580), then single steps are taken while any of them helps. No learning rate,
and the same bits every time; a weight may end beyond its neighbours where others make that worth while.

Where a score is to fall as well, what is minimized is the error and, traded against it, what is left of the filter: a
weight may then go to zero, and a filter to a coarser grid whose sums are narrower.
"""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from micronet.optimization.accumulator_widths import powers
from micronet.optimization.coordinate_descent import CoordinateDescent
from micronet.optimization.grids import NOTHING, exponents_above
from micronet.optimization.moments import quadratic
from micronet.optimization.objective import Objective, ScoreTradeoff

SWEEPS = 20
"""At most: most layers have come to rest by then, and later steps win little."""


@dataclass(frozen=True, slots=True)
class Rounding:
    """Filters on grids, all of them on each of several (tries) where there is a first dimension more.

    integers   (filters, terms) float64, whole numbers
    exponents  (filters,) int64: a step is 2^exponent
    error      (filters,) of the quadratic form, against the weights that were rounded
    objective  (filters,): what was minimized; the error, where nothing was traded
    """

    integers: Tensor
    exponents: Tensor
    error: Tensor
    objective: Tensor

    @property
    def rows(self) -> Tensor:
        """(filters, terms) float64: the weights."""
        return self.integers * powers(self.exponents).unsqueeze(-1)

    def tries(self) -> "list[Rounding]":
        """One by one."""
        parts = zip(self.integers, self.exponents, self.error, self.objective, strict=True)
        return [Rounding(*tensors) for tensors in parts]


@dataclass(frozen=True, slots=True)
class RoundingProblem:
    """Filters that are to be rounded.

    rows       (filters, terms) float64
    inputs     (groups, terms, terms) float64: the form the error is measured by
    factors    (filters, terms, terms): upper Cholesky factors of the inverse of each filter's own form
    objective  what is traded against the error; None: nothing
    """

    rows: Tensor
    inputs: Tensor
    factors: Tensor
    objective: Objective | None = None


def round_rows(problem: RoundingProblem, bits: int, sweeps: int = SWEEPS) -> Rounding:
    """On grids of `bits` bits, one exponent per filter, of least error, or of least objective where there is one.

    Zeros stay zero. No filter is worse than if every weight were rounded to the nearest point; but with an objective
    one exponent for all filters may come cheaper than one for each, and then the layer is no worse.
    """
    smaller = torch.arange(0 if problem.objective is None else -_COARSER, _PLACES)
    found = on_grids_of(problem, bits, _tops(problem.rows, bits) - smaller.unsqueeze(1), sweeps)
    best = reduce(_better, found.tries())
    return best if problem.objective is None else _shared(problem, bits, sweeps, best, problem.objective.tradeoff)


def _shared(problem: RoundingProblem, bits: int, sweeps: int, best: Rounding, tradeoff: ScoreTradeoff) -> Rounding:
    """`best`, or what all filters have at one exponent, where that loses less than the other exponents cost."""
    exponents, counts = torch.unique(best.exponents, return_counts=True)
    often = exponents[counts.argsort(descending=True)][:_SHARED]
    found, least = best, float(best.objective.sum()) + tradeoff.exponent * len(best.exponents)
    for one in on_grids_of(problem, bits, often.unsqueeze(1).expand(-1, len(best.exponents)), sweeps).tries():
        cost = float(one.objective.sum()) + tradeoff.exponent
        if cost < least:
            found, least = one, cost
    return found


def nearest_placed(rows: Tensor, inputs: Tensor, bits: int) -> Rounding:
    """The same with nearest rounding: every filter on the grid of least error."""
    tops = _tops(rows, bits)
    return _better(nearest(rows, inputs, bits, tops), nearest(rows, inputs, bits, tops - 1))


def nearest(rows: Tensor, inputs: Tensor, bits: int, exponents: Tensor) -> Rounding:
    """Every weight at the nearest point of its filter's grid."""
    return _rounding(rows, inputs, None, _nearest(rows, bits, exponents), exponents)


def _nearest(rows: Tensor, bits: int, exponents: Tensor) -> Tensor:
    low, high = _ends(bits)
    return (rows * powers(-exponents).unsqueeze(-1)).round().clamp(low, high)


def on_grids_of(problem: RoundingProblem, bits: int, exponents: Tensor, sweeps: int) -> Rounding:
    """Filters on the grids of each of `exponents` (tries, filters): all tries at once, as each alone is little work."""
    rows, inputs, objective = problem.rows, problem.inputs, problem.objective
    plain = _rounding(rows, inputs, objective, _nearest(rows, bits, exponents), exponents)
    spread = _rounding(rows, inputs, objective, _spread(problem, bits, exponents), exponents)
    start = _better(plain, spread)
    return _better(start, _rounding(rows, inputs, objective, _descended(problem, start, bits, sweeps), exponents))


def _spread(problem: RoundingProblem, bits: int, exponents: Tensor) -> Tensor:
    """Integers, in order: what rounding a weight leaves over is spread over those behind it."""
    (low, high), rows, factors = _ends(bits), problem.rows, problem.factors
    left = rows * powers(-exponents).unsqueeze(-1)
    there = rows != 0
    integers = torch.zeros_like(left)
    for term in range(rows.shape[1]):
        whole = torch.where(there[:, term], left[..., term].round().clamp(low, high), 0.0)
        integers[..., term] = whole
        share = torch.where(there[:, term], (left[..., term] - whole) / factors[:, term, term], 0.0)
        left[..., term + 1 :] -= share.unsqueeze(-1) * factors[:, term, term + 1 :]
    return torch.where(there, integers, 0.0)


def _descended(problem: RoundingProblem, start: Rounding, bits: int, sweeps: int) -> Tensor:
    """Integers after steps that lower the objective."""
    descent = CoordinateDescent(
        goal=problem.rows * powers(-start.exponents).unsqueeze(-1),
        there=problem.rows != 0,
        inputs=problem.inputs,
        rates=None if problem.objective is None else _rates(problem.objective, start),
        ends=_ends(bits),
    )
    return descent.descended(start.integers, sweeps)


def _rates(objective: Objective, start: Rounding) -> Tensor:
    """(..., filters): what a weight that is not zero costs, in units of the squares of a filter's steps."""
    units = (objective.tradeoff.error * powers(2 * start.exponents)).clamp(min=1e-300)
    return objective.rates(start.integers, start.exponents) / units


def _rounding(
    rows: Tensor, inputs: Tensor, objective: Objective | None, integers: Tensor, exponents: Tensor
) -> Rounding:
    error = quadratic(integers * powers(exponents).unsqueeze(-1) - rows, inputs)
    value = error if objective is None else objective.of(integers, exponents, error)
    return Rounding(integers, exponents, error, value)


def _better(one: Rounding, other: Rounding) -> Rounding:
    """Filter by filter, the one of the lower objective."""
    wins = other.objective < one.objective
    return Rounding(
        torch.where(wins.unsqueeze(-1), other.integers, one.integers),
        torch.where(wins, other.exponents, one.exponents),
        torch.where(wins, other.error, one.error),
        torch.where(wins, other.objective, one.objective),
    )


def _tops(rows: Tensor, bits: int) -> Tensor:
    """(filters,): the smallest exponents that clip nothing, but for the one point that a sign takes.

    Filters of zeros take the layer's largest: their bias is in units of their products, and finer ones widen the sum.
    """
    largest = rows.abs().amax(1)
    return exponents_above(torch.where(largest > NOTHING, largest, largest.max())) - (bits - 1)


def _ends(bits: int) -> tuple[int, int]:
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


_PLACES = 3
"""Exponents that are tried: one that clips nothing, and two smaller ones."""
_COARSER = 2
"""Exponents above these that are tried where there is an objective."""
_SHARED = 2
"""Exponents, those that most filters chose, that are tried for all of them."""
