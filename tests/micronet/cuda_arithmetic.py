"""What CUDA's kernels compute otherwise than the CPU's in float64, by their sources: products by reciprocals."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten

SIXTH = torch.tensor(1 / 6).item()
"""In float32, whatever the type of the values."""


def _hard_swish(x: Tensor) -> Tensor:
    return x * (x + 3).clamp(0, 6) * SIXTH


def _hard_sigmoid(x: Tensor) -> Tensor:
    return (x + 3).clamp(0, 6) * SIXTH


def _mean(x: Tensor, axes: Sequence[int] | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    axes = list(axes or range(x.dim()))
    return x.sum(axes, keepdim, dtype=dtype) * (1 / prod(x.shape[axis] for axis in axes))


def _quotient(x: Tensor, by: Tensor | float) -> Tensor:
    return x / by if isinstance(by, Tensor) else x * (1 / by)


_OTHERWISE: Mapping[Any, Callable[..., Tensor]] = {
    aten.hardswish.default: _hard_swish,
    aten.hardsigmoid.default: _hard_sigmoid,
    aten.mean.dim: _mean,
    aten.div.Tensor: _quotient,
}


def as_cuda_computes(func: Any, args: Sequence[Any]) -> Callable[..., Any]:
    """`func`, or what CUDA's kernel of it computes for `args`."""
    wide = bool(args) and isinstance(args[0], Tensor) and args[0].dtype == torch.float64
    return _OTHERWISE.get(func, func) if wide else func
