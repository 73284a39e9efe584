"""The two policies of SCORING section 2: how many bits each operation and each parameter counts as.

All sums are integers of bit-operations and bits; `WORD` divides them once, at the end. What is summed is kept: how many
there are of each kind, at each width.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from micronet.analysis.counts import Counts, LayerCounts
from micronet.analysis.dot_products import DOT_PRODUCTS
from micronet.analysis.parameters import EXPONENT_BITS, Parameter, total
from micronet.analysis.rules import operation_name
from micronet.analysis.widths import FULL_WIDTH
from micronet.contract import NetworkWidths, OperationKind, StoredKind

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
    param_bits = max(parameters, default=FULL_WIDTH)
    mul_bits = max(_multiplied(counts), default=FULL_WIDTH)
    exponent_bits = EXPONENT_BITS if min(param_bits, mul_bits) < FULL_WIDTH else 0
    return Widths(param_bits, mul_bits, FULL_WIDTH, exponent_bits)


def widest_operands(counts: Counts) -> NetworkWidths:
    """What `challenge` is listed at, which charges every operation its own, where nothing is declared.

    The widest weights that are stored, biases aside, and the widest value that enters a dot product; None without any.
    """
    storing = (layer for layer in counts.layers if total(layer.parameters, "elements"))
    weights = (layer.weight_bits for layer in storing if layer.weight_bits is not None)
    return NetworkWidths(param_bits=max(weights, default=None), mul_bits=max(_multiplied(counts), default=None))


def _multiplied(counts: Counts) -> Iterator[int]:
    """Bits of the values that enter dot products."""
    return (layer.activation_bits for layer in counts.layers if layer.op in _DOT_PRODUCTS)


_Kind = TypeVar("_Kind", OperationKind, StoredKind)
_Product = tuple[_Kind, int, int]
"""A kind, how many there are, and the bits of each."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """A layer's share: of each kind of operation, and of what is stored, how many there are of each width in bits."""

    math: Mapping[OperationKind, Mapping[int, int]]
    storage: Mapping[StoredKind, Mapping[int, int]]

    @property
    def math_bits(self) -> int:
        """Bit-operations: all products, added up."""
        return _sum_of(self.math.values())

    @property
    def storage_bits(self) -> int:
        """Bits, in the same way."""
        return _sum_of(self.storage.values())


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
    math = _products(
        ("multiplications", operations.all_multiplications, declared.mul_bits),
        ("additions", operations.additions, declared.add_bits),
        *_sums(layer, declared.add_bits, terms.accumulators),
        ("exponents", layer.exponents, declared.exponent_bits),
    )
    nonzero, elements = total(layer.parameters, "nonzero"), total(layer.parameters, "elements")
    return Weighed(math, _products(("parameters", nonzero, declared.param_bits), ("mask", elements, 1)))


def challenge(counts: Counts, layer: LayerCounts, terms: Terms) -> Weighed:
    """The challenge's rules: operations at their widest input, sums at accumulator width, all storage."""
    operations = layer.operations
    free = not counts.quantized
    math = _products(
        ("multiplications", operations.multiplications, FREEBIE_BITS if free else _operand_bits(layer)),
        ("multiplications", operations.inner_multiplications, FREEBIE_BITS if free else FULL_WIDTH),
        ("additions", operations.additions, max(layer.activation_bits, layer.weight_bits or 0)),
        *_sums(layer, FULL_WIDTH, terms.accumulators),
    )
    stored = (product for parameter in layer.parameters for product in _stored(parameter, free, terms.encoding))
    return Weighed(math, _products(*stored))


POLICIES: Mapping[str, Policy] = {"report": report, "challenge": challenge}


def _operand_bits(layer: LayerCounts) -> int:
    """Width of a product: the widest input. A sign flip of a value with a sign bit of its own is one bit's work."""
    return 1 if layer.binary else max(layer.activation_bits, layer.weight_bits or 0)


def _stored(parameter: Parameter, free: bool, encoding: Encoding) -> Iterator[_Product[StoredKind]]:
    """One tensor: all elements, or the non-zero ones and a mask bit for each; and exponents and scales."""
    bits = FREEBIE_BITS if free and parameter.bits == FULL_WIDTH else parameter.bits
    zeros = parameter.elements - parameter.nonzero
    if zeros and (encoding == "masked" or parameter.elements < zeros * bits):
        yield "parameters", parameter.nonzero, bits
        yield "mask", parameter.elements, 1
    else:
        yield "parameters", parameter.elements, bits
    yield "exponents", parameter.exponents, EXPONENT_BITS
    yield "scales", parameter.scale_bits, 1


def _sums(layer: LayerCounts, declared: int, accumulators: Accumulators) -> Iterator[_Product[OperationKind]]:
    """Additions at accumulator width: as declared, or as proven, filter by filter, where that is narrower."""
    sums = layer.operations.inner_additions
    if accumulators == "declared" or layer.additions_by_filter is None or layer.accumulator_bits is None:
        yield "additions", sums, declared
        return
    assert sum(layer.additions_by_filter) == sums, layer.name
    widths: dict[int, int] = {}
    for additions, bits in zip(layer.additions_by_filter, layer.accumulator_bits, strict=True):
        widths[bits] = widths.get(bits, 0) + additions
    for bits, additions in widths.items():
        yield "additions", additions, min(bits, declared)


def _products(*products: _Product[_Kind]) -> Mapping[_Kind, Mapping[int, int]]:
    """How many there are of each kind and width, narrow ones first; what there is none of, or is free, is left out."""
    counted: dict[_Kind, dict[int, int]] = {}
    for kind, count, bits in products:
        if count and bits:
            widths = counted.setdefault(kind, {})
            widths[bits] = widths.get(bits, 0) + count
    return {kind: dict(sorted(widths.items())) for kind, widths in counted.items()}


def _sum_of(kinds: Iterable[Mapping[int, int]]) -> int:
    return sum(count * bits for widths in kinds for bits, count in widths.items())
