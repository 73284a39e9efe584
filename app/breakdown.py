"""A score taken apart: what each layer adds to it, and the formula with its numbers put in."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from micronet.contract import Charges, Layer, ScoreResult

Kinds = Iterable[tuple[str, Mapping[int, int]]]
"""Kinds, each with how many there are of each width, by that width in bits."""


@dataclass(frozen=True, slots=True)
class Charged:
    """Bits that each multiplication and each addition of a layer was charged, None for those it has none of.

    Multiplications and additions times these, and the bits of all `exponents`, are the math of the layer times 32. What
    is no whole number is an average: a layer has multiplications or sums of several widths.
    """

    multiplication: Fraction | None
    addition: Fraction | None
    exponents: int


@dataclass(frozen=True, slots=True)
class LayerCost:
    """What one layer adds to the two terms of the score, its share of their sum, and the widths it was charged at.

    `charged` is None where the result does not say. Products of `stored` add up to the storage of the layer times 32.
    """

    layer: Layer
    storage: float
    math: float
    share: float
    charged: Charged | None = None
    stored: "tuple[Term, ...]" = ()

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


def layer_costs(result: ScoreResult) -> tuple[LayerCost, ...]:
    """Every layer in the order of the network; their points add up to the score."""
    per_storage = _per_unit(result.score.storage, result.storage.storage)
    per_math = _per_unit(result.score.math, result.operations.math)
    total = result.score.total or 1.0
    costs = []
    for layer in result.layers:
        storage, math = layer.storage * per_storage, layer.math * per_math
        charged, stored = None, tuple[Term, ...]()
        if layer.charged is not None:
            charged, stored = _charged(layer.charged), terms_of(STORED, layer.charged.storage.items())
        costs.append(LayerCost(layer, storage, math, (storage + math) / total, charged, stored))
    return tuple(costs)


def _charged(charges: Charges) -> Charged:
    return Charged(
        multiplication=_average(charges.math.get("multiplications", {})),
        addition=_average(charges.math.get("additions", {})),
        exponents=_bits(charges.math.get("exponents", {})),
    )


def _average(widths: Mapping[int, int]) -> Fraction | None:
    count = sum(widths.values())
    return Fraction(_bits(widths), count) if count else None


def _bits(widths: Mapping[int, int]) -> int:
    return sum(count * bits for bits, count in widths.items())


def _per_unit(points: float, units: float) -> float:
    return points / units if units else 0.0


@dataclass(frozen=True, slots=True)
class Term:
    """One product of a formula: `count` of `what`, each `bits` wide."""

    count: int
    bits: int
    what: str


OPERATIONS = {kind: kind for kind in ("multiplications", "additions", "exponents")}
STORED = {
    "parameters": "parameters stored",
    "mask": "parameters, for the mask",
    "exponents": "exponents",
    "scales": "bits of scales and zero points",
}
"""Kinds in the order of a formula, and what people call them."""


def math_terms(result: ScoreResult) -> tuple[Term, ...]:
    """The math of a score as products that add up to it exactly; none where some layer does not say what it has."""
    charges = known_charges(result)
    return () if charges is None else terms_of(OPERATIONS, *(each.math.items() for each in charges))


def storage_terms(result: ScoreResult) -> tuple[Term, ...]:
    """The storage of a score, in the same way."""
    charges = known_charges(result)
    return () if charges is None else terms_of(STORED, *(each.storage.items() for each in charges))


def known_charges(result: ScoreResult) -> Sequence[Charges] | None:
    """What every layer was charged; None where a version wrote the result that did not keep it."""
    charges = [layer.charged for layer in result.layers if layer.charged is not None]
    return charges if len(charges) == len(result.layers) else None


def terms_of(words: Mapping[str, str], *parts: Kinds) -> tuple[Term, ...]:
    """All that `parts` have of each kind and width, by kind in the order of its `words`, narrow ones first."""
    counts: Counter[tuple[str, int]] = Counter()
    for part in parts:
        for kind, widths in part:
            for bits, count in widths.items():
                counts[kind, bits] += count
    order = list(words)
    used = sorted(counts, key=lambda each: (order.index(each[0]), each[1]))
    return tuple(Term(counts[kind, bits], bits, words[kind]) for kind, bits in used)


def costliest(costs: Sequence[LayerCost], most: int) -> Sequence[LayerCost]:
    """The `most` layers that add most to the score, in the order of the network."""
    by_points = sorted(range(len(costs)), key=lambda index: costs[index].points, reverse=True)
    return tuple(costs[index] for index in sorted(by_points[:most]))


def by_name(costs: Sequence[LayerCost]) -> Mapping[str, LayerCost]:
    """The layers by name."""
    return {cost.name: cost for cost in costs}
