"""The worked example: how the library's numbers come about, sum by sum. A test works out every one of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.breakdown import OPERATIONS, STORED, Kinds, terms_of
from micronet.reference import Example, ExampleLayer, ExampleTensor, PolicyFacts, Reference
from micronet.tracks import BUILT_IN, Track


@dataclass(frozen=True, slots=True)
class Sum:
    """Arithmetic as people write it, of `what`, and what it comes to."""

    what: str
    text: str
    value: float


@dataclass(frozen=True, slots=True)
class Counted:
    """Where a layer's two counts come from."""

    layer: ExampleLayer
    multiplications: Sum | None
    additions: Sum | None


@dataclass(frozen=True, slots=True)
class Worked:
    """An example taken apart: bits of every layer and tensor, their sums, and the score of these."""

    title: str
    example: Example
    track: Track
    math: tuple[Sum, ...]
    storage: tuple[Sum, ...]
    totals: tuple[Sum, ...]


def counted(example: Example) -> tuple[Counted, ...]:
    """The counts, layer by layer, of layers that count anything."""
    rows = []
    for layer in example.layers:
        if layer.op in _COUNTED:
            multiplications, additions = _COUNTED[layer.op](layer)
            amounts = layer.amounts
            rows.append(
                Counted(
                    layer,
                    Sum("multiplications", multiplications, amounts.multiplications + amounts.inner_multiplications),
                    Sum("additions", additions, amounts.additions + amounts.inner_additions) if additions else None,
                )
            )
    return tuple(rows)


def worked(reference: Reference) -> tuple[Worked, ...]:
    """Every example of the reference."""
    return tuple(_worked(example, reference.policies) for example in reference.examples)


def _worked(example: Example, facts: PolicyFacts) -> Worked:
    bits = example.settings.bits
    widths = "unquantized" if bits is None else f"weights at {bits.param_bits} bits, activations at {bits.mul_bits}"
    tensors = [tensor for layer in example.layers for tensor in layer.tensors if tensor.stored_bits]
    counting = [layer for layer in example.layers if layer.math_bits]
    track = BUILT_IN[example.settings.track]
    return Worked(
        title=f"{example.settings.policy}, {widths}",
        example=example,
        track=track,
        math=tuple(
            Sum(layer.name, _products(OPERATIONS, layer.charged.math.items()), layer.math_bits) for layer in counting
        ),
        storage=tuple(
            Sum(tensor.name, _products(STORED, tensor.stored.items()), tensor.stored_bits) for tensor in tensors
        ),
        totals=_totals(example, track, counting, tensors, facts),
    )


def _dot_product(layer: ExampleLayer) -> tuple[str, str]:
    """Non-zero weights at every place; every sum of these and the bias."""
    weights, sums = layer.tensors[0], math.prod(layer.shape)
    filters = layer.shape[0]
    terms, places = weights.nonzero // filters, sums // filters
    return f"{weights.nonzero:,} × {places}", f"{sums:,} × ({terms} + 1 − 1)"


def _comparison(layer: ExampleLayer) -> tuple[str, str]:
    return f"{math.prod(layer.shape):,} × 1", ""


def _mean(layer: ExampleLayer) -> tuple[str, str]:
    results = math.prod(layer.shape)
    return f"{results:,} × 1", f"{results:,} × ({layer.amounts.inner_additions // results + 1} − 1)"


_COUNTED: Mapping[str, Callable[[ExampleLayer], tuple[str, str]]] = {
    "conv2d": _dot_product,
    "relu": _comparison,
    "mean": _mean,
    "linear": _dot_product,
}
"""By operation: multiplications, and additions if there are any."""


def _totals(
    example: Example,
    track: Track,
    counting: Sequence[ExampleLayer],
    tensors: Sequence[ExampleTensor],
    facts: PolicyFacts,
) -> tuple[Sum, ...]:
    math_units, storage_units = example.math_bits / facts.word, example.storage_bits / facts.word
    score = example.score
    return (
        Sum("bit-operations", " + ".join(f"{layer.math_bits:,}" for layer in counting), example.math_bits),
        Sum("math, in 32-bit operations", f"{example.math_bits:,} / {facts.word}", math_units),
        Sum("bits stored", " + ".join(f"{tensor.stored_bits:,}" for tensor in tensors), example.storage_bits),
        Sum("storage, in 32-bit parameters", f"{example.storage_bits:,} / {facts.word}", storage_units),
        Sum("math term", f"{math_units:,} / {track.baseline_math:,}", score.math),
        Sum("storage term", f"{storage_units:,} / {track.baseline_storage:,}", score.storage),
        Sum("score", f"{score.storage:.6f} + {score.math:.6f}", score.total),
    )


def _products(words: Mapping[str, str], kinds: Kinds) -> str:
    return " + ".join(f"{term.count:,} × {term.bits}" for term in terms_of(words, kinds))
