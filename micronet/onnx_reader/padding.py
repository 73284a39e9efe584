"""Borders around values: Pad."""

import torch
from torch import Tensor

from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.indexing import MAX_INDICES, take, take_in_runs
from micronet.onnx_reader.shapes import axes_in
from micronet.onnx_reader.tensors import MAX_RANK
from micronet.onnx_reader.values import Floating, Known, multiple_of_batch
from micronet.onnx_reader.windows import trailing
from micronet.shown import show


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
    """Pad with a constant; with copies of what is there, each axis of an image is a selection by index.

    Of rows of three axes, whose last may be channels, that would permute these: there it is slices.
    """
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
            picked = _border(call, mode, x.shape[axis], low, high)
            is_rows = len(x.shape) != 4 and not isinstance(x, Known)
            x = take_in_runs(call, x, axis, _ascending(picked)) if is_rows else take(call, x, axis, picked)
    return x


def _ascending(picked: Tensor) -> tuple[Tensor, ...]:
    """The indices in as many runs as there are breaks in going up by one."""
    breaks = (picked.diff() != 1).nonzero().flatten() + 1
    return torch.tensor_split(picked, breaks)


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
        raise call.unsupported(f"padding in mode {show(mode)} by {max(before, after)} on {size}.")
    return size - 1 - (size - 1 - places.abs()).abs()


IMPORTERS: Importers = {"Pad": _pad}
