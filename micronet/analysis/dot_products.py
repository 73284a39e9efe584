"""The sums of products in a graph: convolutions, fully connected layers and products with a constant matrix."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from micronet.analysis.operations import Call, Operations
from micronet.graph.ir import Node, Ref, Target

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class DotProducts:
    """The dot products of one node with constant weights.

    weights      (filters, weights per filter): one row per output channel
    bias         (filters,), or None where there is none or it is no constant
    biased       whether a bias, of either kind, is one more term of each sum
    positions    outputs each filter makes for one image
    filter_axis  axis of the weight as it is stored that tells filters apart; None where more than one axis does
    factors      indices of the arguments that hold the weights, and the values they are multiplied with
    """

    weights: Tensor
    bias: Tensor | None
    biased: bool
    positions: int
    filter_axis: int | None = 0
    factors: tuple[int, int] = (1, 0)

    def multiplications(self) -> int:
        """One per non-zero weight and position."""
        return self.positions * sum(self._nonzero_per_filter())

    def additions_per_filter(self) -> list[int]:
        """A sum of t terms takes max(t - 1, 0) additions; the terms are the non-zero weights and the bias, if any."""
        return [self.positions * max(count + self.biased - 1, 0) for count in self._nonzero_per_filter()]

    def _nonzero_per_filter(self) -> list[int]:
        """Weights on the meta device have no values, and none of them is taken for a zero."""
        filters, size = self.weights.shape
        if self.weights.is_meta:
            return [size] * filters
        counts: list[int] = torch.count_nonzero(self.weights, dim=1).tolist()
        return counts


def dot_products(call: Call) -> DotProducts | None:
    """The node's dot products, or None where it has none, both factors are values, or there are no weights."""
    reader = _READERS.get(call.node.target)
    return None if reader is None else reader(call)


def factors(node: Node) -> tuple[str, ...]:
    """Names of the two tensors that a dot product multiplies, which its bias is none of; of other nodes, none."""
    if node.target not in DOT_PRODUCTS:
        return ()
    first = 1 if node.target is aten.addmm.default else 0  # its bias stands before them
    return tuple(factor.name for factor in node.args[first : first + 2] if isinstance(factor, Ref))


def constant_factor(node: Node, constants: frozenset[str]) -> str | None:
    """Name of the factor of a dot product that no image changes, or None where both are values."""
    return next((name for name in reversed(factors(node)) if name in constants), None)


def dot_product_rule(call: Call) -> Operations:
    """One multiplication per weight that is not zero; t - 1 additions for a sum of t terms, of which a bias is one.

    A product of two values counts every term.
    """
    products = dot_products(call)
    if products is not None:
        return Operations(products.multiplications(), 0, 0, sum(products.additions_per_filter()))
    scalings = _scalings(call)
    if call.node.target in LAYERS:
        terms, biased = math.prod(call.shape(1)[1:]), call.argument(2) is not None
    elif call.node.target is aten.addmm.default:
        terms, biased = call.shape(1)[-1], True
    else:
        terms, biased = call.shape(0)[-1], False
    return Operations(call.outputs * terms, 0, call.outputs * scalings, call.outputs * max(terms + biased - 1, 0))


def _per_filter(call: Call) -> DotProducts | None:
    """A convolution (filters, inputs per group, *kernel) or a linear layer (filters, inputs)."""
    weight = call.weight(1)
    if weight is None or weight.dim() < 2 or weight.numel() == 0:
        return None
    positions = call.outputs // weight.shape[0]
    return DotProducts(weight.flatten(1), call.weight(2), call.argument(2) is not None, positions)


def _matmul(call: Call) -> DotProducts | None:
    return _product(call, 0, 1)


def _addmm(call: Call) -> DotProducts | None:
    """Bias plus a product of matrices. A bias per image, and factors other than 1, are for the general rule."""
    products = None if _scalings(call) else _product(call, 1, 2)
    if products is None:
        return None
    bias = call.weight(0)
    per_filter = bias is not None and products.factors == (2, 1) and bias.numel() == len(products.weights)
    return replace(products, bias=bias.flatten() if bias is not None and per_filter else None, biased=True)


def _product(call: Call, left: int, right: int) -> DotProducts | None:
    """Columns of a constant right factor are filters, or rows of a constant left one; of each matrix of a batch."""
    weight = call.weight(right)
    if weight is not None and weight.numel() == 0:
        return None
    if weight is not None:
        rows = weight.view(1, -1) if weight.dim() == 1 else weight.transpose(-1, -2).reshape(-1, weight.shape[-2])
        axis, factors = 1, (right, left)
    else:
        weight = call.weight(left)
        if weight is None or weight.numel() == 0:
            return None
        rows, axis, factors = weight.reshape(-1, weight.shape[-1]), 0, (left, right)
    return DotProducts(rows, None, False, call.outputs // len(rows), axis if weight.dim() == 2 else None, factors)


def _scalings(call: Call) -> int:
    """Factors other than 1 that addmm puts before its bias (beta) and its product (alpha)."""
    if call.node.target is not aten.addmm.default:
        return 0
    return sum(call.argument(index) != 1 for index in (3, 4))


LAYERS: frozenset[Target] = frozenset({aten.conv1d.default, aten.conv2d.default, aten.linear.default})
"""Targets whose weight has one row per output channel."""

_READERS: Mapping[Target, Callable[[Call], DotProducts | None]] = {
    **dict.fromkeys(LAYERS, _per_filter),
    aten.matmul.default: _matmul,
    aten.mm.default: _matmul,
    aten.addmm.default: _addmm,
}

DOT_PRODUCTS: frozenset[Target] = frozenset(_READERS)
"""Targets whose weights share an exponent: the layers that SCORING section 2 counts one exponent for."""
