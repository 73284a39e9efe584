"""What each layer could be, what that would cost to the bit, and about how far the answers would move."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.counts import LayerCounts
from micronet.analysis.operations import Operations
from micronet.analysis.parameters import Parameter
from micronet.optimization.alike import Alike
from micronet.optimization.moments import Moments
from micronet.optimization.ranges import Range, Rule
from micronet.optimization.rounding import Rounding, Trade, nearest_placed
from micronet.optimization.sites import Site
from micronet.optimization.sums import Inputs, sum_bits
from micronet.optimization.zeros import Support

Price = Callable[[LayerCounts], float]
"""Part of the score of one layer, under the policy and against the baselines of the track."""


@dataclass(frozen=True, slots=True)
class Option:
    """Widths, the rule that placed the grid of what the layer reads, and a support (its index); what they cost in parts
    of the score, and the squared change of the logits."""

    weight_bits: int
    input_bits: int
    rule: Rule
    support: int
    loss: float
    cost: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of one layer, in floating point.

    supports     from all weights to few
    sensitivity  (filters,): how far independent errors of each filter's outputs move the logits
    alike        what errors of weights do, over what is foreseen by that
    ranges       what it reads may be put on
    least        what it reads is never below this
    """

    seen: Moments
    supports: Sequence[Support]
    sensitivity: Tensor
    alike: Alike
    ranges: Sequence[Range]
    least: float


@dataclass(frozen=True, slots=True)
class Width:
    """Bits of a layer's weights, of what it reads and of its biases."""

    weights: int
    inputs: int
    bias: int


def options(site: Site, known: Evidence, weight_bits: Sequence[int], bias_bits: int, price: Price) -> Iterator[Option]:
    """Every combination of widths, ranges and supports.

    What rounding loses is foreseen of nearest rounding, and `alike` says what fitted rounding makes of that.
    """
    weights = site.positions * known.sensitivity
    for index, support in enumerate(known.supports):
        removed = known.seen.error(support.rows - known.supports[0].rows)
        for bits in weight_bits:
            rounded = nearest_placed(support.rows, known.seen.inputs, bits)
            errors = known.alike.removed * removed + known.alike.nearest * rounded.error
            loss = float((weights * errors).sum())
            for one in known.ranges:
                width, inputs = one.grid.bits, Inputs.on(one.grid, known.least)
                cost = price(layer_counts(site, rounded, Width(bits, width, bias_bits), inputs))
                yield Option(bits, width, one.rule, index, loss + one.noise, cost)


def layer_counts(site: Site, rounded: Rounding, widths: Width, inputs: Inputs) -> LayerCounts:
    """What `site` would count as, with these weights and inputs."""
    nonzero = rounded.integers.count_nonzero(1)
    sums = sum_bits(rounded.integers, rounded.exponents, site.layer.bias, inputs)
    return _counts(site, nonzero, sums, widths, len(nonzero))


def trade(site: Site, errors: Tensor, widths: Width, price: Price, loss_per_score: float) -> Trade:
    """What a weight that is not zero costs in terms of the logits, where they may move by `loss_per_score`.

    `errors` (filters,) is what a unit mean squared error of each filter's outputs does to them where fitted rounding
    makes it. The layer is taken to hold so many zeros that a mask is cheaper than storing them.
    """
    filters = len(errors)
    few = torch.full((filters,), site.rows.shape[1] // 4)

    def priced(more: int, bits: int, exponents: int = filters) -> float:
        return price(_counts(site, few + more, torch.full((filters,), bits), widths, exponents)) / filters

    weight, bit = priced(1, 0) - priced(0, 0), (priced(1, 1) - priced(1, 0)) - (priced(0, 1) - priced(0, 0))
    exponent = priced(0, 0, 2 * filters) - priced(0, 0)
    return Trade(errors, *(cost * loss_per_score for cost in (weight, bit, exponent)))


def _counts(site: Site, nonzero: Tensor, sums: Tensor, widths: Width, exponents: int) -> LayerCounts:
    """With `nonzero` (filters,) weights on grids of so many exponents, and sums of `sums` (filters,) bits."""
    filters, bias = len(nonzero), site.layer.bias
    additions = (site.positions * (nonzero + (bias is not None) - 1).clamp(min=0)).tolist()
    multiplications = site.positions * int(nonzero.sum())
    stored = [Parameter("weight", site.rows.numel(), int(nonzero.sum()), widths.weights, exponents=exponents)]
    if bias is not None:
        stored.append(Parameter("bias", filters, filters, widths.bias, exponents=1))
    return LayerCounts(
        name=site.name,
        op="conv2d",
        shape=(),
        operations=Operations(multiplications, 0, 0, sum(additions)),
        parameters=tuple(stored),
        weight_bits=widths.weights,
        activation_bits=widths.inputs,
        exponents=exponents,
        additions_by_filter=tuple(additions),
        accumulator_bits=tuple(sums.tolist()),
    )
