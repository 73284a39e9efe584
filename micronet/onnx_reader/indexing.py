"""Parts taken out of values: Slice, Gather, GatherND."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from micronet.errors import FileTooLarge
from micronet.onnx_reader.builder import MAX_INDEX
from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.shapes import axes_in, reshape
from micronet.onnx_reader.targets import TARGETS
from micronet.onnx_reader.values import Floating, Known, Made, literal, multiple_of_batch, once

MAX_RUNS = 256
"""Most slices that one selection is taken apart into."""

MAX_INDICES = 2**20
"""Longest vector of indices. Relative positions among 24 x 24 patches, 576 * 576 of them, take a third of it."""


def take(call: Call, x: Floating, axis: int, indices: Sequence[int] | Tensor) -> Floating:
    """Elements `indices` (not negative) of `x` along `axis`: nothing, a slice, or a selection by index.

    Raises FileTooLarge for more than MAX_INDICES, and for more constants than an import may compute.
    """
    picked = _charged(call, indices)
    run = _run(picked)
    if run == range(x.shape[axis]):
        return x
    if run:
        return call.emit("slice", x, axis, run[0], run[-1] + 1, run.step)
    return call.emit("index_select", x, axis, literal(picked, "indices"))


def take_in_runs(call: Call, x: Floating, axis: int, runs: Sequence[Tensor]) -> Floating:
    """The same for indices in several runs, as slices that are joined: layout, as modules have windows and borders.

    Of more than MAX_RUNS it is a selection by index.
    """
    if len(runs) > MAX_RUNS:
        return take(call, x, axis, torch.cat(list(runs)))
    parts = tuple(take(call, x, axis, run) for run in runs)
    return parts[0] if len(parts) == 1 else call.emit("cat", parts, axis)


def _charged(call: Call, indices: Sequence[int] | Tensor) -> Tensor:
    """A copy of `indices`, which counts among the constants that the import computes."""
    _check_count(call, len(indices))
    wanted = torch.as_tensor(indices, dtype=torch.int64)
    return call.build.fold(TARGETS["add"], literal(wanted), literal(torch.tensor(0))).tensor


def _check_count(call: Call, count: int) -> None:
    if count > MAX_INDICES:
        raise FileTooLarge(f"{call.what} picks {count:,} elements by index; at most {MAX_INDICES:,} are allowed.")


def _run(picked: Tensor) -> range | None:
    """The range that `picked` counts through, None if it ever stays, turns or changes its step."""
    if not len(picked):
        return range(0)
    first = int(picked[0])
    step = int(picked[1]) - first if len(picked) > 1 else 1
    if step < 1 or not torch.equal(picked, torch.arange(len(picked)) * step + first):
        return None
    return range(first, first + len(picked) * step, step)


def _slice(call: Call) -> Floating:
    x = call.tensor(0)
    if call.opset < 10:
        starts, ends, axes = call.ints("starts") or (), call.ints("ends") or (), call.ints("axes")
        steps: tuple[int, ...] | None = None
    else:
        starts, ends = call.integers(1) or (), call.integers(2) or ()
        axes, steps = call.integers(3), call.integers(4)
    axes = tuple(range(len(starts))) if axes is None else axes
    steps = (1,) * len(starts) if steps is None else steps
    if len({len(starts), len(ends), len(axes), len(steps)}) != 1 or 0 in steps:
        raise call.corrupt("starts, ends, axes and steps do not match.")
    for axis, start, end, step in zip(axes_in(call, axes, len(x.shape)), starts, ends, steps, strict=True):
        x = _slice_axis(call, x, axis, slice(start, end, step))
    return x


def _slice_axis(call: Call, x: Floating, axis: int, part: slice) -> Floating:
    size = x.shape[axis]
    start, end, step = part.indices(size)
    if (start, end, step) == (0, size, 1):
        return x
    if step > 0:
        # an end at or after the last element is written as torch writes it, so that it holds for every batch size
        last = MAX_INDEX if end >= size else max(start, end)
        return call.emit("slice", x, axis, start, last, step)
    if multiple_of_batch(size):
        raise call.unsupported("a slice backwards through the batch.")
    return take(call, x, axis, range(start, end, step))


def _gather(call: Call) -> Floating:
    """Gather with constant indices."""
    x, indices = call.tensor(0), call.known(1)
    if indices is None or indices.tensor.is_floating_point():
        raise call.corrupt("the indices are no integers.")
    _check_count(call, indices.tensor.numel())
    (axis,) = axes_in(call, (call.whole("axis", 0),), len(x.shape))
    size, wanted = x.shape[axis], once(indices.tensor).long()
    if bool(((wanted < -size) | (wanted >= size)).any()):
        raise call.corrupt(f"an index lies outside a dimension of {size}.")
    if wanted.dim() == 0:
        return call.emit("select", x, axis, int(wanted % size))
    if multiple_of_batch(size):
        raise call.unsupported("a choice of images of the batch.")
    picked = _picked(call, x, axis, (wanted % size).expand(indices.shape).reshape(-1), indices)
    result = reshape(call, picked, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))
    if isinstance(result, Made) and _is_of_windows(call, x, axis, indices):
        call.build.windows.add(result.ref.name)
    return result


def _gather_nd(call: Call) -> Floating:
    """GatherND with constant indices: on activations along the first axis, on constants along any.

    Along several axes, indices would count as a matrix over the product of these, which no network means.
    """
    x, indices = call.tensor(0), call.known(1)
    if indices is None or indices.tensor.is_floating_point() or not indices.shape:
        raise call.corrupt("the indices are no integers.")
    if call.whole("batch_dims", 0):
        raise call.unsupported("indices of their own for each image.")
    _check_count(call, indices.tensor.numel())
    depth, rank = indices.shape[-1], len(x.shape)
    if not 1 <= depth <= rank:
        raise call.corrupt(f"{depth} indices do not fit {rank} dimensions.")
    sizes, rest = x.shape[:depth], x.shape[depth:]
    if depth > 1 and isinstance(x, Made):
        raise call.unsupported("activations picked along several axes at once; index one axis after the other.")
    if any(map(multiple_of_batch, sizes)):
        raise call.unsupported("a choice of images of the batch.")
    wanted, limits = indices.tensor.long().reshape(-1, depth), torch.tensor(sizes)
    if bool(((wanted < -limits) | (wanted >= limits)).any()):
        raise call.corrupt(f"an index lies outside dimensions of {sizes}.")
    places = torch.tensor([math.prod(sizes[axis + 1 :]) for axis in range(depth)])
    flat = ((wanted % limits) * places).sum(1)
    picked = _picked(call, reshape(call, x, (math.prod(sizes), *rest)), 0, flat, indices)
    return reshape(call, picked, (*indices.shape[:-1], *rest))


def _picked(call: Call, x: Floating, axis: int, flat: Tensor, indices: Known) -> Floating:
    """Elements of `x`; rows of places of an image, slices that begin in equal steps, are its windows.

    Those that take every place once, in turns, are a reshape and a transpose, which may be a shuffle, as anywhere.
    """
    if _is_of_windows(call, x, axis, indices):
        rows = flat.reshape(indices.shape)
        if len(rows) <= MAX_RUNS and all(map(_run, rows)) and _run(rows[:, 0]):
            if len(rows) > 1 and _run(rows.t().reshape(-1)) == range(x.shape[axis]):
                return _in_turns(call, x, axis, len(rows))
            return take_in_runs(call, x, axis, tuple(rows))
    if indices.counted and len(flat) > 1 and isinstance(x, Made):
        return _take_stored(call, x, axis, flat, indices)
    return take(call, x, axis, flat)


def _in_turns(call: Call, x: Floating, axis: int, step: int) -> Floating:
    """Every `step`-th place of an axis, from each of the first ones: two axes in place of it."""
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    apart = reshape(call, x, (*before, x.shape[axis] // step, step, *after))
    order = [*range(len(before)), axis + 1, axis, *range(axis + 2, len(apart.shape))]
    return call.emit("permute", apart, tuple(order))


def _is_of_windows(call: Call, x: Floating, axis: int, indices: Known) -> bool:
    """Whether F.unfold is exported so: two axes of indices in place of an image's rows, then in place of its columns.

    On the last axis of four, where channels may be, these would be a shuffle in groups.
    """
    if not isinstance(x, Made) or len(indices.shape) != 2:
        return False
    return (len(x.shape), axis) == (4, 2) or (axis == 4 and x.ref.name in call.build.windows)


def _take_stored(call: Call, x: Floating, axis: int, flat: Tensor, indices: Known) -> Floating:
    """A selection of activations by indices the file stores, which count as its parameters."""
    picked = _charged(call, flat)
    run = _run(picked)
    if run is not None and run.step == 1:
        return take(call, x, axis, picked)
    stored = Known(picked, indices.name, counted=True, kind=indices.kind)
    return call.emit("index_select", x, axis, stored)


IMPORTERS: Importers = {
    "Slice": _slice,
    "Gather": _gather,
    "GatherND": _gather_nd,
}
