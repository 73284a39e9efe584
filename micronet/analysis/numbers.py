"""Numbers that an operation has in itself, and how many bits they are."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch._ops import OpOverload

from micronet.analysis.widths import FULL_WIDTH
from micronet.graph.ir import Node, Target

aten = torch.ops.aten

_COMPUTES_WITH_NUMBERS: frozenset[Target] = frozenset(
    {
        aten.add.Tensor,
        aten.add.Scalar,
        aten.sub.Tensor,
        aten.sub.Scalar,
        aten.rsub.Scalar,
        aten.mul.Tensor,
        aten.mul.Scalar,
        aten.div.Tensor,
        aten.div.Scalar,
        aten.pow.Tensor_Scalar,
        aten.pow.Scalar,
        aten.clamp.default,
        aten.clamp_min.default,
        aten.clamp_max.default,
        aten.hardtanh.default,
        aten.leaky_relu.default,
    }
)
"""Operations one of whose inputs may be a number. Those of composites (the sixth of a hard swish) are part of the row
of SCORING section 3, as those are that meet nothing but sums (one by the size of a window)."""


def operand_numbers(node: Node) -> Iterator[float]:
    """The numbers among the node's inputs: factors, terms, exponents, ends of a clip.

    The factor (`alpha`) that sums and differences have is none where it is 1: nobody multiplies by it.
    """
    if node.target not in _COMPUTES_WITH_NUMBERS or not isinstance(node.target, OpOverload):
        return
    for index, argument in enumerate(node.target._schema.arguments):
        given = node.argument(index)
        no_factor = argument.name == "alpha" and given == 1
        if isinstance(given, int | float) and math.isfinite(given) and not no_factor:
            yield given


def number_bits(number: float) -> int:
    """Bits of the narrowest two's-complement fixed-point format that holds `number` as float32 does.

    3.0 = 3 * 2^0 has two and a sign, 0.1 has 24 and a sign, 0 the sign alone. Formats that fit float32 exactly are free
    to convert to (SCORING section 2), so nobody would compute with more.
    """
    numerator, _ = float(torch.tensor(number, dtype=torch.float32)).as_integer_ratio()
    return _significant(abs(numerator)) + 1


def tensor_bits(tensor: Tensor) -> int:
    """Bits of the widest finite number of a tensor of floats, as infinite ones are no operands; without data, 32."""
    if tensor.is_meta:
        return FULL_WIDTH
    numbers: Tensor = torch.unique(tensor)
    return max(map(number_bits, numbers[numbers.isfinite()].tolist()), default=1)


def _significant(whole: int) -> int:
    """Binary digits up to the last one that is not zero."""
    return (whole // (whole & -whole)).bit_length() if whole else 0
