"""A score taken apart: what each layer adds to it, and the formula with its numbers put in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from micronet.contract import BitWidths, Layer, ScoreResult, own_widths

_WORD, _FREEBIE = 32, 16


@dataclass(frozen=True, slots=True)
class Charged:
    """Bits that each multiplication and each addition of a layer was charged, None for those it has none of.

    Multiplications and additions times these, and `exponents` in all, are the math of the layer times 32. What is no
    whole number is an average: a layer has sums of several widths.
    """

    multiplication: Fraction | None = None
    addition: Fraction | None = None
    exponents: int = 0


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one layer adds to the two terms of the score, its share of their sum, and the widths it was charged at."""

    layer: Layer
    storage: float
    math: float
    share: float
    charged: Charged = Charged()

    @property
    def name(self) -> str:
        """The layer's."""
        return self.layer.name

    @property
    def op(self) -> str:
        """The operation's name."""
        return self.layer.op

    @property
    def points(self) -> float:
        """Both terms."""
        return self.storage + self.math


def declared_widths(settings: Mapping[str, Any]) -> BitWidths | None:
    """The widths a job's settings declare, whatever else another version of this program may have taken there."""
    bits = settings.get("bits")
    try:
        return None if bits is None else BitWidths.model_validate(bits)
    except ValidationError:
        return None


def layer_costs(result: ScoreResult, widths: BitWidths | None = None) -> tuple[LayerCost, ...]:
    """Every layer in the order of the network; their points add up to the score. `widths` are those declared."""
    per_storage = _per_unit(result.score.storage, result.storage.storage)
    per_math = _per_unit(result.score.math, result.operations.math)
    total = result.score.total or 1.0
    declared = _declared_bits(result, widths) if result.policy == "report" else None
    costs = []
    for layer in result.layers:
        storage, math = layer.storage * per_storage, layer.math * per_math
        charged = _counted(layer) if declared is None else _declared(layer, *declared)
        costs.append(LayerCost(layer, storage, math, (storage + math) / total, charged))
    return tuple(costs)


def _declared_bits(result: ScoreResult, widths: BitWidths | None) -> tuple[int, int]:
    """Of every multiplication and every addition by `report`; asked once for all layers, for it looks at all."""
    multiplication = own_widths(result.layers)[1] or _WORD if widths is None else widths.mul_bits
    return multiplication, (widths or BitWidths()).add_bits


def _declared(layer: Layer, multiplication: int, addition: int) -> Charged:
    """By `report`: as declared, and what is over is for exponents; additions that were proven have the rest."""
    over = int(_WORD * layer.math) - layer.multiplications * multiplication - layer.additions * addition
    if layer.accumulator_bits is not None or over < 0:
        return _averaged(layer, multiplication)
    return _charged(layer, Fraction(multiplication), Fraction(addition), over)


def _counted(layer: Layer) -> Charged:
    """By `challenge`: where no two widths give the math, the additions were not all of one."""
    widths = _widths(layer)
    if widths is None:
        return _averaged(layer, max(layer.activation_bits, layer.weight_bits or 0))
    return _charged(layer, Fraction(widths[0]), Fraction(widths[1]))


def _averaged(layer: Layer, multiplication: int) -> Charged:
    """Additions have what multiplications of this width leave, if they can be so wide; else it is the other way."""
    bits, addition = Fraction(_WORD * layer.math), Fraction(_WORD)
    if layer.additions:
        left = max((bits - layer.multiplications * multiplication) / layer.additions, Fraction(0))
        addition = min(addition, left)
    rest = bits - layer.additions * addition
    return _charged(layer, rest / layer.multiplications if layer.multiplications else Fraction(0), addition)


def _charged(layer: Layer, multiplication: Fraction, addition: Fraction, exponents: int = 0) -> Charged:
    return Charged(multiplication if layer.multiplications else None, addition if layer.additions else None, exponents)


def _per_unit(points: float, units: float) -> float:
    return points / units if units else 0.0


@dataclass(frozen=True, slots=True)
class Term:
    """One product of a formula: `count` of `what`, each `bits` wide."""

    count: int
    bits: int
    what: str


def math_terms(result: ScoreResult, widths: BitWidths | None) -> tuple[Term, ...]:
    """The math of a score as few products that add up to it exactly; none where it takes a sum over all layers."""
    terms = _declared_math(result, widths) if result.policy == "report" else _grouped_math(result)
    return _if_exact(terms, _WORD * result.operations.math)


def storage_terms(result: ScoreResult) -> tuple[Term, ...]:
    """The storage of a score by the policy `report`, in the same way; by `challenge` it is a sum over tensors."""
    storage = result.storage
    if result.policy != "report" or not storage.nonzero:
        return ()
    bits = (storage.bits - storage.parameters) // storage.nonzero
    values = Term(storage.nonzero, bits, "parameters that are not zero")
    return _if_exact((values, Term(storage.parameters, 1, "parameters, for the mask")), storage.bits)


def _declared_math(result: ScoreResult, widths: BitWidths | None) -> tuple[Term, ...]:
    """With the widths that were declared; those that a file brings itself follow from the sum."""
    counts = result.operations
    declared = widths or BitWidths()
    additions = Term(counts.additions, declared.add_bits, "additions")
    exponents = Term(counts.exponents, declared.exponent_bits, "exponents")
    rest = _WORD * counts.math - sum(term.count * term.bits for term in (additions, exponents))
    bits = int(rest // counts.multiplications) if counts.multiplications else 0
    return Term(counts.multiplications, bits, "multiplications"), additions, exponents


def _grouped_math(result: ScoreResult) -> tuple[Term, ...]:
    """Multiplications and additions by the widths that the math of their layer says they have."""
    multiplications: Counter[int] = Counter()
    additions: Counter[int] = Counter()
    for layer in result.layers:
        widths = _widths(layer)
        if widths is None:
            return ()
        multiplications[widths[0]] += layer.multiplications
        additions[widths[1]] += layer.additions
    return (
        *(Term(count, bits, "multiplications") for bits, count in sorted(multiplications.items())),
        *(Term(count, bits, "additions") for bits, count in sorted(additions.items())),
    )


def _widths(layer: Layer) -> tuple[int, int] | None:
    """Bits of a layer's multiplications and additions that give its math; sums inside dot products are 32 wide."""
    widest = max(layer.activation_bits, layer.weight_bits or 0)
    for addition in (_WORD, widest):
        for multiplication in (widest, _FREEBIE, _WORD, 1):
            if layer.multiplications * multiplication + layer.additions * addition == _WORD * layer.math:
                return multiplication, addition
    return None


def _if_exact(terms: tuple[Term, ...], bits: float) -> tuple[Term, ...]:
    used = tuple(term for term in terms if term.count)
    exact = bool(used) and sum(term.count * term.bits for term in used) == bits and all(term.bits > 0 for term in used)
    return used if exact else ()


def costliest(costs: Sequence[LayerCost], most: int) -> Sequence[LayerCost]:
    """The `most` layers that add most to the score, in the order of the network."""
    by_points = sorted(range(len(costs)), key=lambda index: costs[index].points, reverse=True)
    return tuple(costs[index] for index in sorted(by_points[:most]))


def by_name(costs: Sequence[LayerCost]) -> Mapping[str, LayerCost]:
    """The layers by name."""
    return {cost.name: cost for cost in costs}
