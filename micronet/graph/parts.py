"""Composites: operations that are recorded as the ones they consist of, as files of ONNX spell them."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from micronet.graph.einsum import einsum
from micronet.graph.ir import Target

aten = torch.ops.aten

Part = Callable[..., Any]
"""Computes an operation by others, or gives NotImplemented where these would be of another cost."""


def _rms_norm(x: Tensor, shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axes, those of `shape`; step by step, as ONNX files are read."""
    squares = x.pow(2.0).mean(tuple(range(x.dim() - len(shape), x.dim())), keepdim=True)
    size = (squares + (torch.finfo(x.dtype).eps if eps is None else eps)).sqrt()
    plain = x * size.reciprocal()
    return plain if weight is None else plain * weight


def _instance_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, *statistics: Any) -> Tensor:
    """A group norm with a group for each channel; with statistics of training, a batch norm."""
    mean, variance, of_images, momentum, eps, _ = statistics
    if of_images:
        return cast(Tensor, aten.group_norm.default(x, x.shape[1], weight, bias, eps, False))
    return cast(Tensor, aten.batch_norm.default(x, weight, bias, mean, variance, False, momentum, eps, False))


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    *choices: float,
    scale: float | None = None,
    **named: float,
) -> Any:
    """softmax(scale * Q K^T + mask) V, unless something is chosen: what to drop, by truth values, by place, for whom.

    Masks of truth values and causal ones choose among scores, and heads that share keys repeat these.
    """
    if any(choices) or any(named.values()) or (mask is not None and not mask.is_floating_point()):
        return NotImplemented
    scores = query.matmul(key.transpose(-2, -1)) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    return (scores if mask is None else scores + mask).softmax(-1).matmul(value)


def _channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Reshaped to (groups, channels of each), transposed, and reshaped back."""
    parted = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    return parted.transpose(1, 2).reshape(x.shape)


def _pixel_unshuffle(x: Tensor, factor: int) -> Tensor:
    """Blocks of factor x factor pixels become channels."""
    *lead, channels, height, width = x.shape
    parted = x.reshape(*lead, channels, height // factor, factor, width // factor, factor)
    first = len(lead)
    order = [*range(first), first, first + 2, first + 4, first + 1, first + 3]
    return parted.permute(order).reshape(*lead, channels * factor**2, height // factor, width // factor)


def _pad(x: Tensor, amounts: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """A border of copied pixels, joined to the image axis by axis; one of a number is an operation of its own."""
    if mode not in _BORDERS or min(amounts) < 0:
        return NotImplemented
    for pair in range(len(amounts) // 2):
        x = _bordered(x, x.dim() - 1 - pair, mode, *amounts[2 * pair : 2 * pair + 2])
    return x.clone()


def _bordered(x: Tensor, axis: int, mode: str, before: int, after: int) -> Tensor:
    size = x.shape[axis]
    outside = [*range(-before, 0), *range(size, size + after)]
    copied = {place: x.narrow(axis, _BORDERS[mode](place, size), 1) for place in outside}
    parts = [*(copied[place] for place in outside[:before]), x, *(copied[place] for place in outside[before:])]
    return torch.cat(parts, axis) if outside else x


_BORDERS: Mapping[str, Callable[[int, int], int]] = {
    "reflect": lambda place, size: size - 1 - abs(size - 1 - abs(place)),
    "replicate": lambda place, size: min(max(place, 0), size - 1),
    "circular": lambda place, size: place % size,
}
"""Mode of a border -> which element of a row a place before or after it copies."""


def _convolution(x: Tensor, weight: Tensor, bias: Tensor | None = None, *geometry: Any) -> Any:
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


def _roll(x: Tensor, shifts: Sequence[int], axes: Sequence[int] = ()) -> Any:
    """The end of a row, and then its beginning; over all axes at once, images of the batch would mix."""
    if len(shifts) != len(axes):
        return NotImplemented
    for shift, axis in zip(shifts, axes, strict=True):
        first = -shift % x.shape[axis] if x.shape[axis] else 0
        if first:
            x = torch.cat([x.narrow(axis, first, x.shape[axis] - first), x.narrow(axis, 0, first)], axis)
    return x.clone()


def _glu(x: Tensor, axis: int = -1) -> Tensor:
    value, gate = x.chunk(2, axis)
    return value * gate.sigmoid()


def _log_sigmoid(x: Tensor) -> Tensor:
    """x - log(1 + exp(x)), which stays finite where the logarithm of a sigmoid does not."""
    return x - functional.softplus(x)


def _alpha_dropout(x: Tensor, share: float, training: bool) -> Any:
    return NotImplemented if training and share else x.clone()


def _largest(of_all: Part) -> Part:
    """The largest or smallest along an axis, and where it stands: an operation of its own, for those who read it."""
    place = aten.argmax.default if of_all is aten.amax.default else aten.argmin.default

    def part(x: Tensor, axis: int, keep: bool = False) -> tuple[Tensor, Tensor]:
        return of_all(x, [axis], keep), place(x, axis, keep)

    return part


def _variance(
    x: Tensor, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    """Mean square of what the mean leaves; divided by n less `correction`, as by n, once."""
    return _moments(x, axes, correction, keepdim)[0]


def _deviation(
    x: Tensor, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Tensor:
    return _variance(x, axes, correction=correction, keepdim=keepdim).sqrt()


def _variance_and_mean(
    x: Tensor, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    return _moments(x, axes, correction, keepdim)


def _deviation_and_mean(
    x: Tensor, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
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


def _vector_norm(
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


def _add_product(x: Tensor, one: Tensor, other: Tensor, *, value: float = 1) -> Tensor:
    return x + _times(one * other, value)


def _add_quotient(x: Tensor, one: Tensor, other: Tensor, *, value: float = 1) -> Tensor:
    return x + _times(one / other, value)


def _add_matrices(x: Tensor, one: Tensor, other: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """Beta * x + alpha * one @ other, image by image."""
    return _times(x, beta) + _times(one.bmm(other), alpha)


def _between(start: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    return start + (end - start) * weight


def _clamp(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """A comparison for each bound, of which every element has its own."""
    x = x if low is None else x.maximum(low)
    return x if high is None else x.minimum(high)


def _times(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else x * factor


def _filled(number: float) -> Part:
    """A constant in the shape and of the type of a tensor."""
    return lambda x, **kwargs: _constant(x, x.shape, number, kwargs.get("dtype"))


def _new(number: float) -> Part:
    """A constant of the type of a tensor, in another shape."""
    return lambda x, size, **kwargs: _constant(x, size, number, kwargs.get("dtype"))


def _constant(x: Tensor, size: Sequence[int], number: float, dtype: torch.dtype | None) -> Tensor:
    """One number that no training set, spread over `size`."""
    return torch.tensor(number, dtype=dtype or x.dtype).expand(tuple(size))


IN_PARTS: Mapping[Target, Part] = {
    # as torch itself takes them apart
    **{
        operation: operation.decompose
        for operation in (
            aten.absolute.default,
            aten.adaptive_max_pool1d.default,
            aten.adjoint.default,
            aten.atleast_1d.Sequence,
            aten.atleast_1d.default,
            aten.atleast_2d.Sequence,
            aten.atleast_2d.default,
            aten.atleast_3d.Sequence,
            aten.atleast_3d.default,
            aten.broadcast_to.default,
            aten.clip.default,
            aten.column_stack.default,
            aten.concat.default,
            aten.concatenate.default,
            aten.cosine_similarity.default,
            aten.divide.Scalar,
            aten.divide.Tensor,
            aten.dstack.default,
            aten.expand_as.default,
            aten.hsplit.array,
            aten.hsplit.int,
            aten.hstack.default,
            aten.mT.default,
            aten.max.other,
            aten.min.other,
            aten.moveaxis.int,
            aten.moveaxis.intlist,
            aten.movedim.int,
            aten.movedim.intlist,
            aten.multiply.Scalar,
            aten.multiply.Tensor,
            aten.negative.default,
            aten.numpy_T.default,
            aten.ravel.default,
            aten.repeat_interleave.self_int,
            aten.reshape_as.default,
            aten.rnn_relu_cell.default,
            aten.rnn_tanh_cell.default,
            aten.split.sizes,
            aten.square.default,
            aten.std.dim,
            aten.std_mean.dim,
            aten.subtract.Scalar,
            aten.subtract.Tensor,
            aten.swapaxes.default,
            aten.swapdims.default,
            aten.tensor_split.indices,
            aten.tensor_split.sections,
            aten.tile.default,
            aten.true_divide.Scalar,
            aten.true_divide.Tensor,
            aten.type_as.default,
            aten.unsafe_chunk.default,
            aten.var.dim,
            aten.var_mean.dim,
            aten.view_as.default,
            aten.vsplit.array,
            aten.vsplit.int,
            aten.vstack.default,
        )
    },
    # sums of products
    aten.conv1d.padding: _convolution,
    aten.conv2d.padding: _convolution,
    aten.baddbmm.default: _add_matrices,
    aten.einsum.default: einsum,
    aten.scaled_dot_product_attention.default: _attention,
    # normalizations and statistics
    aten.instance_norm.default: _instance_norm,
    aten.rms_norm.default: _rms_norm,
    aten.linalg_vector_norm.default: _vector_norm,
    aten.var.correction: _variance,
    aten.std.correction: _deviation,
    aten.var_mean.correction: _variance_and_mean,
    aten.std_mean.correction: _deviation_and_mean,
    aten.max.dim: _largest(aten.amax.default),
    aten.min.dim: _largest(aten.amin.default),
    # element by element
    aten.addcdiv.default: _add_quotient,
    aten.addcmul.default: _add_product,
    aten.alpha_dropout.default: _alpha_dropout,
    aten.feature_alpha_dropout.default: _alpha_dropout,
    aten.celu.default: lambda x, alpha=1.0: aten.elu.default(x, alpha, 1, 1 / alpha),
    aten.clamp.Tensor: _clamp,
    aten.glu.default: _glu,
    aten.lerp.Scalar: _between,
    aten.lerp.Tensor: _between,
    aten.log_sigmoid.default: _log_sigmoid,
    aten.rsqrt.default: lambda x: x.sqrt().reciprocal(),
    # moving values about
    aten.channel_shuffle.default: _channel_shuffle,
    aten.pad.default: _pad,
    aten.pixel_unshuffle.default: _pixel_unshuffle,
    aten.roll.default: _roll,
    # constants
    aten.zeros_like.default: _filled(0),
    aten.ones_like.default: _filled(1),
    aten.full_like.default: lambda x, number, **kwargs: _constant(x, x.shape, number, kwargs.get("dtype")),
    aten.new_zeros.default: _new(0),
    aten.new_ones.default: _new(1),
    aten.new_full.default: lambda x, size, number, **kwargs: _constant(x, size, number, kwargs.get("dtype")),
}
"""Operation -> what computes it by others. Where it gives NotImplemented, the operation is recorded whole."""
