"""Quotients that are correctly rounded on every device. CUDA's kernels multiply by a reciprocal instead: by 1/n for a
mean, by a sixth in float32, whatever the type, for hard swish and hard sigmoid, and by 1/number for a number of the
CPU. A quotient that lies between two points of a grid, at equal distance, may then fall to the wrong one.

Only a divisor that is a tensor of the device divides there (torch 2.13: ReduceMomentKernel.cu,
ActivationHardswishKernel.cu, ActivationHardsigmoidKernel.cu, BinaryDivTrueKernel.cu).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from micronet.graph.ir import Graph

aten = torch.ops.aten


def with_exact_quotients(graph: Graph) -> Graph:
    """The same function, whose divisions are of one tensor by another; to be run, not counted."""
    return replace(
        graph, nodes=tuple(replace(node, target=_EXACT.get(node.target, node.target)) for node in graph.nodes)
    )


def _divided(x: Tensor | float, by: Tensor | float) -> Tensor:
    """Of a number by a tensor it is one already; written with a slash, torch would multiply by its reciprocal."""
    if not isinstance(x, Tensor):
        quotient: Tensor = aten.div.Tensor(x, by)
        return quotient
    there = isinstance(by, Tensor) and by.device == x.device
    return x / (by if there else torch.full((), float(by), dtype=torch.float64, device=x.device))


def _hard_sigmoid(x: Tensor) -> Tensor:
    return _divided((x + 3).clamp_(0, 6), 6)


def _hard_swish(x: Tensor) -> Tensor:
    return _divided((x + 3).clamp_(0, 6) * x, 6)


def _mean(
    x: Tensor, axes: Sequence[int] | None = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    axes = tuple(axes or range(x.dim()))
    return _divided(x.sum(axes, keepdim, dtype=dtype), prod(x.shape[axis] for axis in axes))


def _mean_of_all(x: Tensor, *, dtype: torch.dtype | None = None) -> Tensor:
    return _mean(x, dtype=dtype)


def _pooled(x: Tensor, size: Sequence[int]) -> Tensor:
    """torch takes a mean where the result is one value; its other kernels divide."""
    if all(extent == 1 for extent in size):
        return _mean(x, range(-len(size), 0), True)
    pooled: Tensor = (aten.adaptive_avg_pool1d if len(size) == 1 else aten.adaptive_avg_pool2d)(x, size)
    return pooled


_EXACT: Mapping[Callable[..., object], Callable[..., object]] = {
    aten.div.Tensor: _divided,
    aten.div.Scalar: _divided,
    aten.hardsigmoid.default: _hard_sigmoid,
    aten.hardswish.default: _hard_swish,
    aten.mean.default: _mean_of_all,
    aten.mean.dim: _mean,
    aten.adaptive_avg_pool1d.default: _pooled,
    aten.adaptive_avg_pool2d.default: _pooled,
}
