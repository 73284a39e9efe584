"""Single steps, many filters at once, against the same taken weight by weight."""

from dataclasses import dataclass
from itertools import product

import pytest
import torch
from torch import Tensor

from micronet.optimization import coordinate_descent
from micronet.optimization.coordinate_descent import CoordinateDescent
from micronet.optimization.moments import by_group

ENDS = (-4, 3)


def layer(groups: int, each: int, terms: int, priced: bool) -> tuple[CoordinateDescent, Tensor]:
    """Filters on three grids, an input that hardly changes, weights that are to stay zero; and where to begin."""
    random = torch.Generator().manual_seed(groups + terms)
    mixing = torch.randn(groups, terms, terms, generator=random, dtype=torch.float64)
    mixing[:, :, -1] = 0.0
    there = torch.rand(groups * each, terms, generator=random) < 0.8
    goal = 3 * torch.randn(3, groups * each, terms, generator=random, dtype=torch.float64) * there
    rates = torch.rand(3, groups * each, generator=random, dtype=torch.float64) if priced else None
    start = goal.round().clamp(*ENDS) * there
    return CoordinateDescent(goal, there, mixing.transpose(1, 2) @ mixing, rates, ENDS), start


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter on one grid, whose weights and slopes change in place."""

    weights: Tensor
    slope: Tensor
    form: Tensor
    there: Tensor
    rate: float | None

    def sweep_(self) -> None:
        """Through the weights that have a step now, which some do not have any more when it is their turn."""
        for term in [term for term in range(len(self.weights)) if self.best(term)]:
            step = self.best(term)
            self.weights[term] += step
            self.slope.add_(step * self.form[term])

    def best(self, term: int) -> float:
        """The step that wins most: down the slope by one or, where weights cost anything, to zero; 0 for none."""
        now, down, curvature = (float(one) for one in (self.weights[term], self.slope[term], self.form[term, term]))
        if not bool(self.there[term]):
            return 0.0
        by_one = -1.0 if down > 0 else 1.0 if down < 0 else 0.0
        won = {}
        if ENDS[0] <= now + by_one <= ENDS[1] and curvature > 0:
            won[by_one] = 2 * abs(down) - curvature + (self.rate or 0.0) * ((now + by_one == 0) - (now == 0))
        if self.rate is not None:
            won.setdefault(-now, now * (2 * down - now * curvature) + self.rate * (now != 0))
        step = max(won, key=lambda one: won[one], default=0.0)
        return step if won and won[step] > 1e-9 * curvature else 0.0


def one_by_one(of: CoordinateDescent, start: Tensor, sweeps: int) -> Tensor:
    """A filter after the other, a weight after the other."""
    slopes, found = (by_group(start - of.goal, of.inputs) @ of.inputs).view_as(start), start.clone()
    each = len(of.there) // len(of.inputs)
    for at, row in product(range(start.shape[0]), range(start.shape[1])):
        rate = None if of.rates is None else float(of.rates[at, row])
        one = Filter(found[at, row], slopes[at, row], of.inputs[row // each], of.there[row], rate)
        for _ in range(sweeps):
            one.sweep_()
    return found


@pytest.mark.parametrize("many", [0.0, 0.25, 2.0], ids=["all rows", "as usual", "rows alone"])
@pytest.mark.parametrize("priced", [False, True])
@pytest.mark.parametrize("shape", [(1, 8, 12), (3, 2, 6), (5, 1, 9)], ids=str)
def test_steps_are_those_taken_one_by_one(
    shape: tuple[int, int, int], priced: bool, many: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinate_descent, "_MANY", many)
    of, start = layer(*shape, priced)
    before = start.clone()
    found = of.descended(start, sweeps=4)
    assert torch.equal(start, before), "what it begins with is left alone"
    assert torch.equal(found, one_by_one(of, start, sweeps=4))
    assert not torch.equal(found, start)
    assert not bool(found[:, ~of.there].any())
