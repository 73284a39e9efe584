"""What each layer could be, what that would cost to the bit, and about how far the answers would move."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.counts import LayerCounts
from micronet.analysis.operations import Operations
from micronet.analysis.parameters import Parameter
from micronet.optimization.accumulator_widths import OperandRange, sum_bits
from micronet.optimization.correlated_errors import ErrorRatios
from micronet.optimization.fitted_rounding import Rounding, nearest_placed
from micronet.optimization.moments import Moments
from micronet.optimization.objective import ScoreTradeoff
from micronet.optimization.placement import PlacedGrid, PlacementRule
from micronet.optimization.quantizable_layers import QuantizableLayer
from micronet.optimization.zeros import Support

LayerScore = Callable[[LayerCounts], float]
"""Part of the score of one layer, under the policy and against the baselines of the track."""


@dataclass(frozen=True, slots=True)
class LayerOption:
    """Widths, the rule that placed the grid of what the layer reads, and a support (its index); what they cost in parts
    of the score, and the squared change of the logits. Journals hold them by these names."""

    weight_bits: int
    input_bits: int
    rule: PlacementRule
    support: int
    loss: float
    cost: float


@dataclass(frozen=True, slots=True)
class LayerStatistics:
    """Of one layer, in floating point.

    supports     from all weights to few
    sensitivity  (filters,): how far independent errors of each filter's outputs move the logits
    ratios       what errors of weights do, over what is foreseen by that
    grids        what it reads may be put on
    least        what it reads is never below this
    """

    seen: Moments
    supports: Sequence[Support]
    sensitivity: Tensor
    ratios: ErrorRatios
    grids: Sequence[PlacedGrid]
    least: float


@dataclass(frozen=True, slots=True)
class OperandBits:
    """Bits of a layer's weights, of what it reads and of its biases."""

    weights: int
    inputs: int
    bias: int


def layer_options(
    layer: QuantizableLayer, known: LayerStatistics, weight_bits: Sequence[int], bias_bits: int, layer_score: LayerScore
) -> Iterator[LayerOption]:
    """Every combination of widths, grids and supports.

    What rounding loses is foreseen of nearest rounding, and `known.ratios` say what fitted rounding makes of that.
    """
    weights = layer.positions * known.sensitivity
    for index, support in enumerate(known.supports):
        removed = known.seen.error(support.rows - known.supports[0].rows)
        for bits in weight_bits:
            rounded = nearest_placed(support.rows, known.seen.inputs, bits)
            errors = known.ratios.removed * removed + known.ratios.nearest * rounded.error
            loss = float((weights * errors).sum())
            for one in known.grids:
                width, operands = one.grid.bits, OperandRange.on(one.grid, known.least)
                cost = layer_score(layer_counts(layer, rounded, OperandBits(bits, width, bias_bits), operands))
                yield LayerOption(bits, width, one.rule, index, loss + one.noise, cost)


def layer_counts(
    layer: QuantizableLayer, rounded: Rounding, widths: OperandBits, operands: OperandRange
) -> LayerCounts:
    """What `layer` would count as, with these weights and operands."""
    nonzero = rounded.integers.count_nonzero(1)
    sums = sum_bits(rounded.integers, rounded.exponents, layer.linear.bias, operands)
    return _counts(layer, nonzero, sums, widths, len(nonzero))


def score_tradeoff(
    layer: QuantizableLayer, errors: Tensor, widths: OperandBits, layer_score: LayerScore, loss_per_score: float
) -> ScoreTradeoff:
    """What a weight that is not zero costs in terms of the logits, where they may move by `loss_per_score`.

    `errors` (filters,) is what a unit mean squared error of each filter's outputs does to them where fitted rounding
    makes it. The layer is taken to hold so many zeros that a mask is cheaper than storing them.
    """
    filters = len(errors)
    few = torch.full((filters,), layer.rows.shape[1] // 4)

    def score_of(more: int, bits: int, exponents: int = filters) -> float:
        return layer_score(_counts(layer, few + more, torch.full((filters,), bits), widths, exponents)) / filters

    weight, bit = score_of(1, 0) - score_of(0, 0), (score_of(1, 1) - score_of(1, 0)) - (score_of(0, 1) - score_of(0, 0))
    exponent = score_of(0, 0, 2 * filters) - score_of(0, 0)
    return ScoreTradeoff(errors, *(cost * loss_per_score for cost in (weight, bit, exponent)))


def _counts(layer: QuantizableLayer, nonzero: Tensor, sums: Tensor, widths: OperandBits, exponents: int) -> LayerCounts:
    """With `nonzero` (filters,) weights on grids of so many exponents, and sums of `sums` (filters,) bits."""
    filters, bias = len(nonzero), layer.linear.bias
    additions = (layer.positions * (nonzero + (bias is not None) - 1).clamp(min=0)).tolist()
    multiplications = layer.positions * int(nonzero.sum())
    stored = [Parameter("weight", layer.rows.numel(), int(nonzero.sum()), widths.weights, exponents=exponents)]
    if bias is not None:
        stored.append(Parameter("bias", filters, filters, widths.bias, exponents=1))
    return LayerCounts(
        name=layer.name,
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
