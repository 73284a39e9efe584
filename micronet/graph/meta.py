"""Shapes without data: what an operation gives on torch's meta device."""

import math
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor

from micronet.graph.ir import Graph, Target

aten = torch.ops.aten

_META = torch.device("meta")


def values_on_meta(graph: Graph, batch: int = 1) -> dict[str, object]:
    """Every value of `graph` for `batch` images, its input and its weights among them, by name. Raises what torch
    raises where operands do not fit."""
    values: dict[str, object] = {name: weight.to(_META) for name, weight in graph.weights.items()}
    values[graph.input] = torch.empty(batch, *graph.input_shape, dtype=torch.float32, device=_META)
    with torch.no_grad():
        for node in graph.nodes:
            values[node.name] = on_meta(node.target, *node.operands(values))
    return values


def on_meta(target: Target, args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
    """What `target` gives for tensors on the meta device: the right shape and dtype, no values.

    torch knows the shapes of all its operations. Of the commonest it knows them in Python, behind an import that takes
    seconds; these have a row here. What an operation makes lies there too, whichever device it names. Raises what torch
    raises where operands do not fit.
    """
    rule = None if kwargs else _QUICK.get(target)
    if rule is not None:
        return rule(*args)
    made = target(*map(_there, args), **{key: _there(argument) for key, argument in kwargs.items()})
    return made.to(_META) if isinstance(made, Tensor) else made


def _there(argument: object) -> object:
    return _META if isinstance(argument, torch.device) else argument


def _like_first(x: Tensor, *_: object) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device="meta")


def _batch_norm(x: Tensor, *rest: object) -> Tensor:
    for tensor in rest[:4]:
        if isinstance(tensor, Tensor) and tensor.shape != x.shape[1:2]:
            raise RuntimeError(f"a batch norm of {tuple(tensor.shape)} channels does not fit {tuple(x.shape)}")
    return _like_first(x)


def _broadcast(one: object, other: object) -> Tensor:
    """Element by element; a number takes the tensor's dtype, tensors of two dtypes are left to torch."""
    tensors = [operand for operand in (one, other) if isinstance(operand, Tensor)]
    dtype = tensors[0].dtype if len(tensors) == 1 else torch.promote_types(tensors[0].dtype, tensors[1].dtype)
    if len(tensors) == 1 and isinstance(other, float) and not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    shape = torch.broadcast_shapes(*(t.shape for t in tensors))  # type: ignore[no-untyped-call]
    return torch.empty(shape, dtype=dtype, device="meta")


def _quotient(one: object, other: object) -> Tensor:
    result = _broadcast(one, other)
    return result if result.dtype.is_floating_point else result.to(torch.get_default_dtype())


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    fits = weight.dim() == 2 and x.dim() > 0 and x.shape[-1] == weight.shape[1]
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise RuntimeError(f"a linear layer of {tuple(weight.shape)} weights does not fit {tuple(x.shape)}")
    return torch.empty([*x.shape[:-1], weight.shape[0]], dtype=x.dtype, device="meta")


def _convolution(x: Tensor, weight: Tensor, bias: Tensor | None = None, *geometry: object) -> Tensor:
    """floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1 along each axis; torch names misfits."""
    stride, padding, dilation = (_pair(value) for value in (*geometry, *(1, 0, 1)[len(geometry) :])[:3])
    groups = cast(int, geometry[3]) if len(geometry) > 3 else 1
    if min(stride) < 1:
        raise RuntimeError(f"a stride of {stride}: at least 1 is needed")
    sides = [
        (size + 2 * pad - spread * (kernel - 1) - 1) // step + 1
        for size, kernel, step, pad, spread in zip(
            x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=False
        )
    ]
    fits = x.dim() == weight.dim() == 4 and min(groups, *sides) > 0
    fits = fits and x.shape[1] == weight.shape[1] * groups and weight.shape[0] % groups == 0
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        return _as_torch_has_it(x, weight, bias, *geometry)
    return torch.empty([x.shape[0], weight.shape[0], *sides], dtype=x.dtype, device="meta")


def _as_torch_has_it(x: Tensor, weight: Tensor, *rest: object) -> Tensor:
    """A convolution by torch, which refuses most of what comes here in words that name no shape."""
    try:
        return cast(Tensor, aten.conv2d.default(x, weight, *rest))
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise RuntimeError(f"{reason} (weights {tuple(weight.shape)}, input {tuple(x.shape)})") from error


def _pair(value: object) -> tuple[int, int]:
    """(height, width) of a size given once or for each."""
    sizes = [int(side) for side in value] if isinstance(value, list | tuple) else [int(cast(int, value))]
    return sizes[0], sizes[-1]


def _axis(axis: int, rank: int) -> int:
    """`axis` counted from 0."""
    if not -rank <= axis < rank:
        raise IndexError(f"axis {axis} is not within {rank} dimensions")
    return axis % rank


def _pooled(x: Tensor, size: list[int]) -> Tensor:
    if not 0 < x.dim() - len(size) <= 2:
        raise RuntimeError(f"pooling to {size} does not fit a tensor of {x.dim()} axes")
    return torch.empty([*x.shape[: -len(size)], *size], dtype=x.dtype, device="meta")


def _mean(x: Tensor, axes: list[int] | None, keep: bool = False) -> Tensor:
    reduced = {_axis(axis, x.dim()) for axis in axes} if axes else set(range(x.dim()))
    if len(reduced) < len(axes or ()) or not x.dtype.is_floating_point:
        raise RuntimeError(f"the mean of {x.dtype} along the axes {axes}: each once, and of floats, is right")
    shape = [1 if axis in reduced else size for axis, size in enumerate(x.shape) if keep or axis not in reduced]
    if math.prod(x.shape) == 0:
        raise RuntimeError("the mean of no values")
    return torch.empty(shape, dtype=x.dtype, device="meta")


def _concatenated(parts: list[Tensor], axis: int = 0) -> Tensor:
    first = parts[0]
    shape = list(first.shape)
    axis = _axis(axis, len(shape))
    for part in parts[1:]:
        others = [size for index, size in enumerate(part.shape) if index != axis]
        if part.dtype != first.dtype or others != [size for index, size in enumerate(first.shape) if index != axis]:
            raise RuntimeError(f"tensors of shape {tuple(first.shape)} and {tuple(part.shape)} cannot be joined")
    shape[axis] = sum(part.shape[axis] for part in parts)
    return torch.empty(shape, dtype=first.dtype, device="meta")


_QUICK: Mapping[Target, Callable[..., Tensor]] = {
    **dict.fromkeys(
        (
            aten.relu.default,
            aten.hardtanh.default,
            aten.clamp.default,
            aten.hardswish.default,
            aten.hardsigmoid.default,
            aten.fake_quantize_per_tensor_affine.default,
            aten.fake_quantize_per_channel_affine.default,
        ),
        cast(Callable[..., Tensor], _like_first),
    ),
    aten.conv2d.default: _convolution,
    aten.linear.default: _linear,
    aten.batch_norm.default: _batch_norm,
    aten.add.Tensor: _broadcast,
    aten.sub.Tensor: _broadcast,
    aten.mul.Tensor: _broadcast,
    aten.div.Tensor: _quotient,
    aten.adaptive_avg_pool2d.default: _pooled,
    aten.mean.dim: _mean,
    aten.cat.default: _concatenated,
}
