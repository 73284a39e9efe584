"""What rounding makes small: the error of a layer and, traded against it, what its weights cost of the score."""

from dataclasses import dataclass

from torch import Tensor

from micronet.optimization.accumulator_widths import OperandRange, sum_bits


@dataclass(frozen=True, slots=True)
class ScoreTradeoff:
    """What the rounding of a layer may give up for a lower score, all in squared changes of the logits.

    error     (filters,): by a unit of a filter's error
    weight    by each weight that is not zero, and
    bit       by each bit of the sum it is added to
    exponent  by each exponent that is stored
    """

    error: Tensor
    weight: float
    bit: float
    exponent: float


@dataclass(frozen=True, slots=True)
class Objective:
    """A tradeoff, and what says how wide a filter's sum is: what it multiplies, and its bias (filters,)."""

    tradeoff: ScoreTradeoff
    operands: OperandRange
    bias: Tensor | None

    def rates(self, integers: Tensor, exponents: Tensor) -> Tensor:
        """(filters,): what each weight that is not zero costs."""
        return self.tradeoff.weight + self.tradeoff.bit * sum_bits(integers, exponents, self.bias, self.operands)

    def of(self, integers: Tensor, exponents: Tensor, error: Tensor) -> Tensor:
        """(filters,): what is to be small."""
        return self.tradeoff.error * error + integers.count_nonzero(-1) * self.rates(integers, exponents)
