"""The sums of products in a graph: convolutions, fully connected layers and products with a constant matrix."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.operations import Call, Operations
from micronet.graph.ir import Target

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class DotProducts:
    """The dot products of one node with constant weights.

    weights    (filters, weights per filter): one row per output channel
    bias       (filters,) or None
    positions  outputs each filter makes for one image
    """

    weights: Tensor
    bias: Tensor | None
    positions: int

    def multiplications(self) -> int:
        """One per non-zero weight and position."""
        return self.positions * int(torch.count_nonzero(self.weights))

    def additions_per_filter(self) -> list[int]:
        """A sum of t terms takes max(t - 1, 0) additions; the terms are the non-zero weights and the bias, if any."""
        terms = torch.count_nonzero(self.weights, dim=1) + (0 if self.bias is None else 1)
        return [self.positions * count for count in (terms - 1).clamp(min=0).tolist()]


def dot_products(call: Call) -> DotProducts | None:
    """The node's dot products, or None where it has none or both factors are values."""
    reader = _READERS.get(call.node.target)
    return None if reader is None else reader(call)


def dot_product_rule(call: Call) -> Operations:
    """Exact for sparse constant weights; a product of two values counts every term."""
    products = dot_products(call)
    if products is not None:
        return Operations(products.multiplications(), 0, 0, sum(products.additions_per_filter()))
    if call.node.target in _PER_FILTER:
        terms, biased = math.prod(call.shape(1)[1:]), call.argument(2) is not None
    elif call.node.target is aten.addmm.default:
        terms, biased = call.shape(1)[-1], True
    else:
        terms, biased = call.shape(0)[-1], False
    return Operations(call.outputs * terms, 0, 0, call.outputs * max(terms + biased - 1, 0))


def _convolution(call: Call) -> DotProducts | None:
    weight = call.weight(1)
    if weight is None:
        return None
    return DotProducts(weight.flatten(1), call.weight(2), call.outputs // weight.shape[0])


def _linear(call: Call) -> DotProducts | None:
    weight = call.weight(1)
    if weight is None:
        return None
    return DotProducts(weight, call.weight(2), call.outputs // weight.shape[0])


def _matmul(call: Call) -> DotProducts | None:
    weight = call.weight(1)
    if weight is None or weight.dim() != 2:
        return None
    return DotProducts(weight.t(), None, call.outputs // weight.shape[1])


def _addmm(call: Call) -> DotProducts | None:
    weight, bias = call.weight(2), call.weight(0)
    if weight is None or bias is None:
        return None
    return DotProducts(weight.t(), bias, call.outputs // weight.shape[1])


_READERS: Mapping[Target, Callable[[Call], DotProducts | None]] = {
    aten.conv1d.default: _convolution,
    aten.conv2d.default: _convolution,
    aten.linear.default: _linear,
    aten.matmul.default: _matmul,
    aten.mm.default: _matmul,
    aten.addmm.default: _addmm,
}

_PER_FILTER = frozenset({aten.conv1d.default, aten.conv2d.default, aten.linear.default})
"""Targets whose weight has one row per output channel."""

DOT_PRODUCTS: frozenset[Target] = frozenset(_READERS)
"""Targets whose weights share an exponent: the layers that SCORING section 2 counts one exponent for."""
