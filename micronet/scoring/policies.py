"""The two policies of SCORING section 2: how many bits each operation and each parameter counts as.

All sums are integers of bit-operations and bits; `WORD` divides them once, at the end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from micronet.analysis.counts import Counts, LayerCounts
from micronet.analysis.dot_products import DOT_PRODUCTS
from micronet.analysis.parameters import EXPONENT_BITS, Parameter
from micronet.analysis.rules import operation_name
from micronet.analysis.widths import FULL_WIDTH

WORD = 32
"""Bits of the unit a score is made of."""
FREEBIE_BITS = 16
"""What parameters and multiplications count as where nothing at all is quantized."""

Encoding = Literal["cheapest", "masked"]
Accumulators = Literal["declared", "proven"]


@dataclass(frozen=True, slots=True)
class Widths:
    """Declared widths of the `report` policy, in bits."""

    param_bits: int
    mul_bits: int
    add_bits: int
    exponent_bits: int


_DOT_PRODUCTS = frozenset(map(operation_name, DOT_PRODUCTS))

UNQUANTIZED = Widths(param_bits=FULL_WIDTH, mul_bits=FULL_WIDTH, add_bits=FULL_WIDTH, exponent_bits=0)
"""`report` without widths: every number is 32 bits wide, and there are no exponents."""


def own_widths(counts: Counts) -> Widths:
    """The widths a network brings itself, as `report` would have them declared.

    Those of the widest parameter, and of the widest value that enters a dot product; additions of 32 bits, for no file
    says anything about these.
    """
    if not counts.quantized:
        return UNQUANTIZED
    parameters = (parameter.bits for layer in counts.layers for parameter in layer.parameters if parameter.elements)
    values = (layer.activation_bits for layer in counts.layers if layer.op in _DOT_PRODUCTS)
    param_bits, mul_bits = max(parameters, default=FULL_WIDTH), max(values, default=FULL_WIDTH)
    exponent_bits = EXPONENT_BITS if min(param_bits, mul_bits) < FULL_WIDTH else 0
    return Widths(param_bits, mul_bits, FULL_WIDTH, exponent_bits)


@dataclass(frozen=True, slots=True)
class Weighed:
    """A layer's share: bit-operations and bits."""

    math_bits: int
    storage_bits: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What the policies may ask for: declared widths, encoding of zeros, and how wide accumulators count."""

    widths: Widths
    encoding: Encoding
    accumulators: Accumulators


Policy = Callable[[Counts, LayerCounts, Terms], Weighed]


def report(counts: Counts, layer: LayerCounts, terms: Terms) -> Weighed:
    """The team's formulas: plain counts times declared widths; one mask bit for every parameter.

    Proven accumulators count where they are narrower than what is declared.
    """
    declared = terms.widths
    operations = layer.operations
    math = operations.all_multiplications * declared.mul_bits + layer.exponents * declared.exponent_bits
    math += (operations.additions + operations.inner_additions) * declared.add_bits
    if terms.accumulators == "proven":
        math += _proven_difference(layer, declared.add_bits)
    stored = sum(parameter.nonzero * declared.param_bits + parameter.elements for parameter in layer.parameters)
    return Weighed(math, stored)


def challenge(counts: Counts, layer: LayerCounts, terms: Terms) -> Weighed:
    """The challenge's rules: operations at their widest input, sums at accumulator width, all storage."""
    operations = layer.operations
    free = not counts.quantized
    outer = FREEBIE_BITS if free else _operand_bits(layer)
    inner = FREEBIE_BITS if free else FULL_WIDTH
    math = operations.multiplications * outer + operations.inner_multiplications * inner
    math += operations.additions * max(layer.activation_bits, layer.weight_bits or 0)
    math += operations.inner_additions * FULL_WIDTH
    if terms.accumulators == "proven":
        math += _proven_difference(layer, FULL_WIDTH)
    return Weighed(math, sum(_stored_bits(parameter, free, terms.encoding) for parameter in layer.parameters))


POLICIES: Mapping[str, Policy] = {"report": report, "challenge": challenge}


def _operand_bits(layer: LayerCounts) -> int:
    """Width of a product: the widest input. A sign flip of a value with a sign bit of its own is one bit's work."""
    return 1 if layer.binary else max(layer.activation_bits, layer.weight_bits or 0)


def _stored_bits(parameter: Parameter, free: bool, encoding: Encoding) -> int:
    """Bits of one tensor: all elements, or the non-zero ones and a mask bit for each; plus exponents and scales."""
    bits = FREEBIE_BITS if free and parameter.bits == FULL_WIDTH else parameter.bits
    dense = parameter.elements * bits
    masked = parameter.nonzero * bits + parameter.elements
    extra = parameter.exponents * EXPONENT_BITS + parameter.scale_bits
    if parameter.nonzero == parameter.elements:
        return dense + extra
    return (masked if encoding == "masked" else min(dense, masked)) + extra


def _proven_difference(layer: LayerCounts, declared: int) -> int:
    """Bit-operations that proven accumulators change, filter by filter; never more than declared."""
    if layer.additions_by_filter is None or layer.accumulator_bits is None:
        return 0
    pairs = zip(layer.additions_by_filter, layer.accumulator_bits, strict=True)
    return sum(additions * (min(bits, declared) - declared) for additions, bits in pairs)
