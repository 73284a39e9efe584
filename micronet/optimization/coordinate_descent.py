"""Single steps of rounded weights, taken while any of them helps: the inner loop of rounding.

In numpy, whose calls cost a fraction of torch's: a step is some thirty operations on a few hundred numbers.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micronet.optimization.moments import by_group

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CoordinateDescent:
    """What is descended on: for each filter, on each of several grids (tries), its squared error and what weights cost.

    goal    (tries, filters, terms) float64: the weights that are rounded, in steps of the grids
    there   (filters, terms) bool: weights that may be other than zero
    inputs  (groups, terms, terms) float64: the form the error is measured by
    rates   (tries, filters): what a weight that is not zero costs, in squares of steps; None: nothing
    ends    the least and the largest integer
    """

    goal: Tensor
    there: Tensor
    inputs: Tensor
    rates: Tensor | None
    ends: tuple[int, int]

    def descended(self, start: Tensor, sweeps: int) -> Tensor:
        """Integers (tries, filters, terms) after at most so many sweeps from `start`.

        Term by term, weights go one up or down, or, where `rates` make it worth while, to zero. A sweep goes through
        the terms that some filter had a step for when it began, and takes those that still help.
        """
        shape = start.shape
        slopes = by_group(start - self.goal, self.inputs) @ self.inputs
        integers = start.flatten(0, 1).clone()
        work = _Work(self, slopes.view(-1, shape[-1]), integers, shape[0])
        for _ in range(sweeps):
            if not work.sweep_():
                break
        return integers.view(shape)


class _Work:
    """Integers and slopes (rows, terms), a row being one filter on one grid; both change in place."""

    def __init__(self, of: CoordinateDescent, slopes: Tensor, integers: Tensor, tries: int) -> None:
        each = len(of.there) // len(of.inputs)
        diagonal = of.inputs.diagonal(dim1=1, dim2=2).repeat_interleave(each, 0)
        self._slopes, self._inputs, self._ends = slopes, of.inputs, of.ends
        self._by_group = (tries, len(of.inputs), each)
        # The same memory, and what rows of the same filter share, in numpy.
        self._rows: Floats = slopes.numpy()
        self._integers: Floats = integers.numpy()
        self._forms: Floats = of.inputs.numpy()
        self._groups = torch.arange(len(of.inputs)).repeat_interleave(each).repeat(tries).numpy()
        self._curvature: Floats = diagonal.repeat(tries, 1).numpy()
        self._there = of.there.repeat(tries, 1).numpy()
        self._rates: Floats | None = None if of.rates is None else of.rates.flatten().numpy()

    def sweep_(self) -> bool:
        """Through all terms once; whether there was anything to do."""
        rates = None if self._rates is None else self._rates[:, None]
        every = _Rise(self._rows, self._curvature, rates)
        helps = (every.step(self._integers, self._ends) != 0) & self._there
        terms = helps.any(0).nonzero()[0].tolist()
        by_term = np.ascontiguousarray(helps.T)
        for term in terms:
            self._take_(term, by_term[term].nonzero()[0])
        return bool(terms)

    def _take_(self, term: int, rows: NDArray[np.int64]) -> None:
        """The steps that `rows` still have for this term."""
        rates = None if self._rates is None else self._rates[rows]
        rise = _Rise(self._rows[rows, term], self._curvature[rows, term], rates)
        step = rise.step(self._integers[rows, term], self._ends)
        moved = step.nonzero()[0]
        if not len(moved):
            return
        rows, step = rows[moved], step[moved]
        self._integers[rows, term] += step
        if len(rows) < _MANY * len(self._rows):
            self._rows[rows] += step[:, None] * self._forms[self._groups[rows], term]
            return
        every = torch.zeros(len(self._rows), dtype=torch.float64)
        every.numpy()[rows] = step
        slopes = self._slopes.view(*self._by_group, -1)
        # Product and sum are rounded one after the other, as above: the same bits by either way.
        slopes.add_(every.view(*self._by_group, 1) * self._inputs[:, term].unsqueeze(1))


@dataclass(frozen=True, slots=True)
class _Rise:
    """How the objective changes with weights, of any shape: one weight of some filters, or all of them."""

    slope: Floats
    curvature: Floats
    rates: Floats | None

    def step(self, now: Floats, ends: tuple[int, int]) -> Floats:
        """Up or down by one, or, where there are rates, to zero: what wins most; 0 where nothing does."""
        step = -np.sign(self.slope)
        beyond = now + step
        won = 2 * np.abs(self.slope) - self.curvature  # of the squares, by one step down the slope
        if self.rates is not None:
            won += self.rates * ((beyond == 0) * 1.0 - (now == 0))
        # where an input hardly changes its square may come out below zero, and every step would seem to help
        won[(beyond < ends[0]) | (beyond > ends[1]) | (self.curvature <= 0)] = -np.inf
        if self.rates is not None:
            to_zero = now * (2 * self.slope - now * self.curvature) + self.rates * (now != 0)
            step, won = np.where(to_zero > won, -now, step), np.maximum(to_zero, won)
        return np.where(won > np.abs(self.curvature) * _MARGIN, step, 0.0)


_MANY = 0.25
"""Of all rows: where so many have a step, it is quicker to go through the slopes of all of them."""
_MARGIN = 1e-9
"""Of its curvature, a step has to win more than that: more than rounding of sums, or two could go on forever."""
