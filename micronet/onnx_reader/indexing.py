"""Parts taken out of values and put together: Slice, Gather, GatherND, Split, Concat, Pad, and blocks of the image."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from micronet.errors import FileTooLarge
from micronet.onnx_reader.builder import MAX_INDEX
from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.shapes import axes_in, expand, reshape
from micronet.onnx_reader.targets import TARGETS
from micronet.onnx_reader.tensors import MAX_RANK
from micronet.onnx_reader.values import BATCH, Floating, Known, Made, literal, multiple_of_batch, once
from micronet.onnx_reader.windows import trailing

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
    return reshape(call, picked, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


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
    if indices.counted and len(flat) > 1 and isinstance(x, Made):
        return _take_stored(call, x, axis, flat, indices)
    return take(call, x, axis, flat)


def _take_stored(call: Call, x: Floating, axis: int, flat: Tensor, indices: Known) -> Floating:
    """A selection of activations by indices the file stores, which count as its parameters."""
    picked = _charged(call, flat)
    run = _run(picked)
    if run is not None and run.step == 1:
        return take(call, x, axis, picked)
    stored = Known(picked, indices.name, counted=True, kind=indices.kind)
    return call.emit("index_select", x, axis, stored)


def _split(call: Call) -> list[Floating]:
    x = call.tensor(0)
    (axis,) = axes_in(call, (call.whole("axis", 0),), len(x.shape))
    sizes = call.ints("split") if call.opset < 13 else call.integers(1, max(call.output_count, MAX_RANK))
    parts = call.whole("num_outputs", call.output_count) if call.opset >= 18 else call.output_count
    size = x.shape[axis]
    if sizes is None:
        if parts < 1 or parts != call.output_count or (size % parts and call.opset < 18):
            raise call.corrupt(f"{size} does not split into {parts} parts.")
        each = -(-size // parts)
        sizes = (*(each,) * (parts - 1), size - each * (parts - 1))
    if sum(sizes) != size or min(sizes, default=0) < 0 or len(sizes) != call.output_count:
        raise call.corrupt(f"{size} does not split into {sizes}.")
    return call.build.emit_parts(TARGETS["split"], x, sizes, axis)


def _concat(call: Call) -> Floating:
    parts = call.tensors()
    ranks = {len(part.shape) for part in parts}
    if len(ranks) != 1:
        raise call.corrupt("its operands have differing numbers of dimensions.")
    (axis,) = axes_in(call, (call.whole("axis", 1 if call.opset < 4 else 0),), ranks.pop())
    parts = _spread(call, parts, axis)
    return parts[0] if len(parts) == 1 else call.emit("cat", tuple(parts), axis)


def _spread(call: Call, parts: list[Floating], axis: int) -> list[Floating]:
    """In a file saved for a fixed batch size, a constant beside activations, such as a class token, follows N."""
    leads = {part.shape[0] for part in parts if part.shape and multiple_of_batch(part.shape[0])}
    if axis == 0 or len(leads) != 1:
        return parts
    lead = leads.pop()
    alone = [isinstance(part, Known) and part.shape[0] == 1 for part in parts]
    if lead != BATCH or not any(alone):
        return parts
    call.build.guessed = True
    return [
        expand(call, part, (lead, *part.shape[1:])) if single else part
        for part, single in zip(parts, alone, strict=True)
    ]


def _pad_amounts(call: Call, rank: int) -> tuple[list[int], list[int]]:
    if call.opset < 11:
        pads, axes = call.ints("pads") or (), None
    else:
        pads, axes = call.integers(1, 2 * MAX_RANK) or (), call.integers(3)
    places = tuple(range(rank)) if axes is None else axes_in(call, axes, rank)
    if len(pads) != 2 * len(places):
        raise call.corrupt(f"{len(pads)} pads do not match {len(places)} axes.")
    before, after = [0] * rank, [0] * rank
    for place, low, high in zip(places, pads[: len(places)], pads[len(places) :], strict=True):
        before[place], after[place] = low, high
    return before, after


def _pad(call: Call) -> Floating:
    """Pad with a constant; with copies of the image, each axis is a selection by index."""
    x = call.tensor(0)
    before, after = _pad_amounts(call, len(x.shape))
    value = call.real("value", 0.0) if call.opset < 11 else call.number(2)
    mode = call.text("mode", "constant")
    if not any(before) and not any(after):
        return x
    if any(multiple_of_batch(size) and (low or high) for size, low, high in zip(x.shape, before, after, strict=True)):
        raise call.unsupported("padding along the batch.")
    if mode == "constant":
        first = next(axis for axis in range(len(before)) if before[axis] or after[axis])
        number = int(value or 0) if isinstance(x, Known) and not x.tensor.is_floating_point() else float(value or 0)
        return call.emit("pad", x, trailing(before[first:], after[first:]), number)
    for axis, (low, high) in enumerate(zip(before, after, strict=True)):
        if low or high:
            x = take(call, x, axis, _border(call, mode, x.shape[axis], low, high))
    return x


def _border(call: Call, mode: str, size: int, before: int, after: int) -> Tensor:
    """Which element of a row of `size` each element of the padded row copies."""
    if size < 1 or max(before, after) > MAX_INDICES or not 0 <= before + size + after <= MAX_INDICES:
        raise call.unsupported(f"a border of {max(before, after)} copied elements on {size}.")
    places = torch.arange(-before, size + after)
    if mode == "edge":
        return places.clamp(0, size - 1)
    if mode == "wrap":
        return places % size
    if mode != "reflect" or max(before, after) >= size:
        raise call.unsupported(f"padding in mode {mode!r} by {max(before, after)} on {size}.")
    return size - 1 - (size - 1 - places.abs()).abs()


def _depth_to_space(call: Call) -> Floating:
    x, block = call.tensor(0), call.whole("blocksize", 0)
    mode = call.text("mode", "DCR")
    if len(x.shape) != 4 or block < 1 or x.shape[1] % (block * block) or mode not in ("DCR", "CRD"):
        raise call.corrupt("the block does not divide the channels.")
    if mode == "CRD":
        return call.emit("pixel_shuffle", x, block)
    n, c, h, w = x.shape
    depth = c // (block * block)
    x = reshape(call, x, (n, block, block, depth, h, w))
    return reshape(call, call.emit("permute", x, (0, 3, 4, 1, 5, 2)), (n, depth, h * block, w * block))


def _space_to_depth(call: Call) -> Floating:
    x, block = call.tensor(0), call.whole("blocksize", 0)
    mode = call.text("mode", "DCR")
    if len(x.shape) != 4 or block < 1 or x.shape[2] % block or x.shape[3] % block or mode not in ("DCR", "CRD"):
        raise call.corrupt("the block does not divide the image.")
    n, c, h, w = x.shape
    x = reshape(call, x, (n, c, h // block, block, w // block, block))
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return reshape(call, call.emit("permute", x, order), (n, c * block * block, h // block, w // block))


IMPORTERS: Importers = {
    "Slice": _slice,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Split": _split,
    "Concat": _concat,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
}
