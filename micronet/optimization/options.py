"""What each layer could be, what that would cost to the bit, and about how far the answers would move."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.counts import LayerCounts
from micronet.analysis.operations import Operations
from micronet.analysis.parameters import Parameter
from micronet.analysis.widths import FULL_WIDTH
from micronet.graph.grid import Grid
from micronet.optimization.moments import Moments
from micronet.optimization.rounding import Rounding, Wanted, nearest_placed, round_rows
from micronet.optimization.sites import Site
from micronet.optimization.zeros import Support

PROBE_BITS = 5
"""Where fitted rounding is held against nearest rounding, once per layer."""

Price = Callable[[LayerCounts], float]
"""Part of the score of one layer, under the policy and against the baselines of the track."""


@dataclass(frozen=True, slots=True)
class Option:
    """Widths and a support (its index), what they cost in parts of the score, and the squared change of the logits."""

    weight_bits: int
    input_bits: int
    support: int
    loss: float
    cost: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of one layer, in floating point.

    supports     from all weights to few
    sensitivity  (filters,): how far errors of each filter move the logits
    grids        what it reads may be put on, and noises: how far each of these moves the logits
    """

    seen: Moments
    supports: Sequence[Support]
    sensitivity: Tensor
    grids: Sequence[Grid]
    noises: Sequence[float]


@dataclass(frozen=True, slots=True)
class Widths:
    """Bits of weights to choose from, and those of biases."""

    weights: Sequence[int]
    bias: int


def options(site: Site, known: Evidence, widths: Widths, price: Price) -> Iterator[Option]:
    """Every combination of the widths and supports."""
    gain = _gain(known)
    weights = site.positions * known.sensitivity
    for index, support in enumerate(known.supports):
        removed = known.seen.error(support.rows - known.supports[0].rows)
        for bits in widths.weights:
            rounded = nearest_placed(support.rows, known.seen.inputs, bits)
            errors = removed + gain * rounded.error
            loss = float((weights * errors).sum())
            for grid, noise in zip(known.grids, known.noises, strict=True):
                cost = price(layer_counts(site, rounded, bits, grid, widths.bias))
                yield Option(bits, grid.bits, index, loss + noise, cost)


def layer_counts(site: Site, rounded: Rounding, bits: int, grid: Grid, bias_bits: int) -> LayerCounts:
    """What `site` would count as, with these weights of `bits` bits and inputs on `grid`."""
    filters = len(rounded.integers)
    bias = site.layer.bias
    nonzero = rounded.integers.count_nonzero(1)
    additions = (site.positions * (nonzero + (bias is not None) - 1).clamp(min=0)).tolist()
    stored = [Parameter("weight", rounded.integers.numel(), int(nonzero.sum()), bits, exponents=filters)]
    if bias is not None:
        stored.append(Parameter("bias", filters, filters, bias_bits, exponents=1))
    return LayerCounts(
        name=site.name,
        op="conv2d",
        shape=(),
        operations=Operations(site.positions * int(nonzero.sum()), 0, 0, sum(additions)),
        parameters=tuple(stored),
        weight_bits=bits,
        activation_bits=grid.bits,
        exponents=filters,
        additions_by_filter=tuple(additions),
        accumulator_bits=tuple(_accumulators(rounded, grid, bias)),
    )


def _accumulators(rounded: Rounding, grid: Grid, bias: Tensor | None) -> list[int]:
    """The bound of `exact_bits`, with a bias that lies on the grid of the products."""
    bound = rounded.integers.abs().sum(1) * max(-grid.low, grid.high)
    if bias is not None:
        bound = bound + torch.ldexp(bias.double().abs() / grid.steps[0], -rounded.exponents).round()
    return [min(int(bits) + 1, FULL_WIDTH) for bits in torch.frexp(bound).exponent]


def _gain(known: Evidence) -> float:
    """Error of fitted rounding over that of nearest rounding, of all filters together."""
    rows, inputs, support = known.supports[0].rows, known.seen.inputs, known.supports[0]
    fitted = round_rows(Wanted(rows, inputs, support.factors), PROBE_BITS, sweeps=0)
    plain = nearest_placed(rows, inputs, PROBE_BITS)
    before = float((known.sensitivity * plain.error).sum())
    return float((known.sensitivity * fitted.error).sum()) / before if before else 1.0
