"""Composites that compute: norms, statistics, attention, functions of elements, by the operations they consist of."""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from micronet.errors import CaptureFailed

aten = torch.ops.aten


def rms_norm(x: Tensor, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axes, those of `shape`; step by step, as ONNX files are read."""
    squares = x.pow(2.0).mean(tuple(range(x.dim() - len(shape), x.dim())), keepdim=True)
    size = (squares + (torch.finfo(x.dtype).eps if eps is None else eps)).sqrt()
    plain = x * size.reciprocal()
    return plain if weight is None else plain * weight


def instance_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, *statistics: Any) -> Tensor:
    """A group norm with a group for each channel; with statistics of training, a batch norm."""
    mean, variance, of_images, momentum, eps, _ = statistics
    if of_images:
        return cast(Tensor, aten.group_norm.default(x, x.shape[1], weight, bias, eps, False))
    return cast(Tensor, aten.batch_norm.default(x, weight, bias, mean, variance, False, momentum, eps, False))


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *choices: float,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(scale * Q K^T + mask) V; the scale is parted between Q and K, as torch, its exporters and ONNX do it.

    What a query may not see, by truth values or by place, has a large negative number added to its score. Every query
    must see a key. Heads that share keys repeat these. Raises CaptureFailed where it drops scores at random.
    """
    dropout, is_causal = choices[0] if choices else 0.0, len(choices) > 1 and bool(choices[1])
    if dropout:
        raise CaptureFailed(
            f"attention that drops scores at random, {dropout:g} of them, and a score must repeat: set dropout_p to 0 "
            "outside training"
        )
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[-3] // x.shape[-3], -3) for x in (key, value))
    hidden = max(-1e9, torch.finfo(query.dtype).min)
    if is_causal:
        mask = torch.full((query.shape[-2], key.shape[-2]), hidden, dtype=query.dtype).triu(1)
    elif mask is not None and mask.dtype == torch.bool:
        mask = mask.logical_not().to(query.dtype) * hidden
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    root = math.sqrt(abs(factor))
    scores = _times(query, math.copysign(root, factor)).matmul(_times(key.transpose(-2, -1), root))
    return (scores if mask is None else scores + mask).softmax(-1).matmul(value)


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None = None, *geometry: Any) -> Any:
    """Padding in words. What "same" pads an even kernel is more on one side, and an operation of its own.

    In two dimensions other paddings stay as they are: they become numbers in every graph (`explicit_padding`).
    """
    rank = weight.dim() - 2
    defaults: tuple[Any, ...] = ([1] * rank, "valid", [1] * rank, 1)
    stride, padding, dilation, groups = (*geometry, *defaults[len(geometry) :])
    spreads = [*dilation] * (rank // len(dilation))
    reach = [spread * (side - 1) for side, spread in zip(weight.shape[2:], spreads, strict=True)]
    uneven = padding == "same" and any(both % 2 for both in reach)
    if rank > 1 and not uneven:
        return NotImplemented
    if uneven:
        pads = [end for both in reversed(reach) for end in (both // 2, both - both // 2)]
        x = aten.constant_pad_nd.default(x, pads, 0.0)
    sides = [both // 2 if padding == "same" and not uneven else 0 for both in reach]
    plain = aten.conv1d.default if rank == 1 else aten.conv2d.default
    return plain(x, weight, bias, stride, sides, dilation, groups)


def glu(x: Tensor, axis: int = -1) -> Tensor:
    """One half, gated by the sigmoid of the other."""
    value, gate = x.chunk(2, axis)
    return value * gate.sigmoid()


def log_sigmoid(x: Tensor) -> Tensor:
    """The logarithm of the sigmoid, as torch exports it; -infinity where float32 has no sigmoid, below -103."""
    return x.sigmoid().log()


def alpha_dropout(x: Tensor, share: float, training: bool) -> Any:
    """The value itself; in training, noise."""
    return NotImplemented if training and share else x.clone()


def largest(of_all: Callable[..., Any]) -> Callable[..., Any]:
    """The largest or smallest along an axis, and where it stands: an operation of its own, for those who read it."""
    place = aten.argmax.default if of_all is aten.amax.default else aten.argmin.default

    def part(x: Tensor, axis: int, keep: bool = False) -> tuple[Tensor, Tensor]:
        return of_all(x, [axis], keep), place(x, axis, keep)

    return part


def variance(
    x: Tensor, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    """Mean square of what the mean leaves; divided by n less `correction`, as by n, once."""
    return _moments(x, axes, correction, keepdim)[0]


def deviation(
    x: Tensor, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    """Root of the variance."""
    return variance(x, axes, correction=correction, keepdim=keepdim).sqrt()


def variance_and_mean(
    x: Tensor, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """Both, of one mean."""
    return _moments(x, axes, correction, keepdim)


def deviation_and_mean(
    x: Tensor, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """Both, of one mean."""
    variance, mean = _moments(x, axes, correction, keepdim)
    return variance.sqrt(), mean


def _moments(x: Tensor, axes: Sequence[int] | None, correction: float | None, keep: bool) -> tuple[Tensor, Tensor]:
    """Variance and mean along `axes`, all of them where there are none."""
    chosen = sorted(axis % x.dim() for axis in axes) if axes else list(range(x.dim()))
    mean = x.mean(chosen, keepdim=True)
    squares = (x - mean).pow(2.0)
    less = 1 if correction is None else correction
    count = math.prod(x.shape[axis] for axis in chosen)
    variance = squares.sum(chosen, keepdim=keep) / (count - less) if less else squares.mean(chosen, keepdim=keep)
    return variance, mean if keep else mean.squeeze(chosen)


def vector_norm(
    x: Tensor,
    order: float = 2,
    axes: Sequence[int] | None = None,
    keep: bool = False,
    *,
    dtype: torch.dtype | None = None,
) -> Any:
    """(sum |x|^p)^(1/p): of order 2 without absolute values, of order 1 without powers, of infinity the largest."""
    if dtype not in (None, x.dtype):
        return NotImplemented
    chosen = list(axes) if axes else list(range(x.dim()))
    if order == 2:
        return x.pow(2.0).sum(chosen, keepdim=keep).sqrt()
    if math.isinf(order):
        return (x.abs().amax if order > 0 else x.abs().amin)(chosen, keepdim=keep)
    if order == 1:
        return x.abs().sum(chosen, keepdim=keep)
    return x.abs().pow(order).sum(chosen, keepdim=keep).pow(1 / order) if order > 0 else NotImplemented


def cosine_similarity(x: Tensor, y: Tensor, axis: int = 1, eps: float = 1e-8) -> Tensor:
    """Sum of products of both, each divided by its length, which is no less than eps; as torch has it."""
    one, other = (each / each.pow(2.0).sum([axis], keepdim=True).sqrt().clamp(eps, None) for each in (x, y))
    return (one * other).sum([axis])


def add_product(x: Tensor, one: Tensor, other: Tensor, *, value: float = 1) -> Tensor:
    """X + value * one * other; a factor of 1 is none."""
    return x + _times(one * other, value)


def add_quotient(x: Tensor, one: Tensor, other: Tensor, *, value: float = 1) -> Tensor:
    """X + value * one / other; a factor of 1 is none."""
    return x + _times(one / other, value)


def add_matrices(x: Tensor, one: Tensor, other: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Beta * x + alpha * one @ other, image by image."""
    return _times(x, beta) + _times(one.bmm(other), alpha)


def between(start: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """Start + weight * (end - start)."""
    return start + (end - start) * weight


def clamp(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """A comparison for each bound, of which every element has its own."""
    x = x if low is None else x.maximum(low)
    return x if high is None else x.minimum(high)


def _times(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else x * factor
