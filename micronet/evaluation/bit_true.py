"""Evaluation whose sums are exact: float64 holds every sum of fixed-point products that fits 53 bits."""

from dataclasses import replace

import torch

from micronet.analysis.accumulators import exact_bits
from micronet.analysis.dot_products import DOT_PRODUCTS
from micronet.analysis.shapes import shapes
from micronet.errors import SettingsError
from micronet.graph.ir import Graph

EXACT_BITS = 53
"""Integers up to 2^53 are exact in float64. Where a sum lies within 53 bits of two's complement, so that its ends are
less than 2^53 apart, no sum on the way to it, with the bias or without, is farther from zero than that."""


def check_exact(graph: Graph) -> None:
    """Raise SettingsError unless every dot product sums fixed-point products of few enough bits."""
    known = shapes(graph)
    proofs = exact_bits(graph, known)
    for node in graph.nodes:
        if node.target not in DOT_PRODUCTS:
            continue
        name = node.layer or node.name
        if node.name not in proofs:
            raise SettingsError(
                f"bit_true: {name} multiplies values that are not all fixed point, so its sums cannot be exact. "
                "Quantize weights and activations (bits) to measure bit-true accuracy."
            )
        needed = max(proofs[node.name], default=0)
        if needed > EXACT_BITS:
            raise SettingsError(
                f"bit_true: sums of {name} may need {needed} bits, float64 is exact to {EXACT_BITS}. Use fewer bits."
            )


def widen(graph: Graph) -> Graph:
    """The graph with its weights in float64."""
    return replace(
        graph,
        weights={
            name: weight.double() if weight.dtype == torch.float32 else weight for name, weight in graph.weights.items()
        },
    )
