"""Resize and Upsample by copying the nearest element."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.indexing import take
from micronet.onnx_reader.shapes import axes_in
from micronet.onnx_reader.tensors import check_rank
from micronet.onnx_reader.values import BATCH, MAX_ELEMENTS, Floating, multiple_of_batch
from micronet.shown import show, show_some

Row = NDArray[np.float32]

Position = Callable[[Row, np.float32, np.float32, np.float32], Row]
"""Where output elements lie in the input: (indices, scale, input size, output size) -> coordinates."""

Scaling = tuple[list[np.float32], list[int]]
"""Scale and new size of every axis."""

_POSITIONS: Mapping[str, Position] = {
    "asymmetric": lambda i, scale, size, out: i / scale,
    "half_pixel": lambda i, scale, size, out: (i + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda i, scale, size, out: (i + 0.5) / scale - 0.5 if out > 1 else i,
    "align_corners": lambda i, scale, size, out: i * (size - 1) / (out - 1) if out > 1 else i,
}

MAX_TABLE = 2**20
"""Longest side an image can be resized to."""


def _round(places: Row, halves: int) -> Row:
    """To the nearest whole number; what is within 1e-6 of a half goes down, or up by `halves`."""
    below = np.floor(places)
    rest = places - below
    return below + np.where(np.abs(rest - 0.5) <= 1e-6, halves, rest > 0.5)


_ROUNDINGS: Mapping[str, Callable[[Row], Row]] = {
    "round_prefer_floor": lambda places: _round(places, 0),
    "round_prefer_ceil": lambda places: _round(places, 1),
    "floor": np.floor,
    "ceil": np.ceil,
}

_BEFORE_11 = ("floor", "ceil")
"""How opset 10 and before round where a row grows, and where it shrinks."""


def ratio(size: int, out: int) -> np.float32:
    """The scale that makes `out` elements of `size`."""
    return np.float32(out) / np.float32(max(size, 1))


def nearest(size: int, out: int, scale: np.float32, position: str, rounding: str) -> list[int]:
    """Which of `size` elements each of the `out` new ones copies.

    All of it is float32, as in onnxruntime (core/providers/cpu/tensor/upsamplebase.h, and its issue 28291 for halves):
    the scale 1.4f makes 7 elements of 5, and 14 elements made 2 by their sizes are elements 0 and 6.
    """
    places = _POSITIONS[position](np.arange(out, dtype=np.float32), scale, np.float32(size), np.float32(out))
    return [int(place) for place in np.clip(_ROUNDINGS[rounding](places), 0, size - 1)]


def nearest_by_torch(size: int, out: int, scale: float | None = None) -> list[int]:
    """Which elements torch's upsample_nearest2d copies: it multiplies where onnxruntime divides."""
    row = torch.arange(size, dtype=torch.float32).view(1, 1, size, 1)
    return [int(place) for place in torch.ops.aten.upsample_nearest2d(row, (out, 1), scale, None).flatten().tolist()]


def _resized(call: Call, x: Floating, scaling: Scaling, position: str, roundings: tuple[str, str]) -> Floating:
    """Each axis by its own table of elements; onnxruntime copies what keeps all its sizes, whatever the scales."""
    if position not in _POSITIONS or not set(roundings) <= _ROUNDINGS.keys():
        raise call.unsupported(f"coordinates {show(position)} rounded by {show(roundings[0])}.")
    changed = {
        axis: (size, out, scale)
        for axis, (size, scale, out) in enumerate(zip(x.shape, *scaling, strict=True))
        if size != out or scale != 1
    }
    if any(multiple_of_batch(size) for size, _, _ in changed.values()):
        raise call.unsupported("a batch that changes its size.")
    if all(size == out for size, out, _ in changed.values()):
        return x
    for size, out, _ in changed.values():
        if not 0 < out <= MAX_TABLE or size < 1:
            raise call.unsupported(f"a dimension of {size} resized to {out}.")
    tables = {axis: nearest(*row, position, roundings[int(row[2] < 1)]) for axis, row in changed.items()}
    if (
        len(x.shape) == 4
        and tables.keys() == {2, 3}
        and all(_is_torchs(x.shape[axis], tables[axis]) for axis in tables)
    ):
        return call.emit("upsample_nearest2d", x, (len(tables[2]), len(tables[3])))
    for axis, table in tables.items():
        x = take(call, x, axis, table)
    return x


def _is_torchs(size: int, table: list[int]) -> bool:
    return size <= MAX_TABLE and table == nearest_by_torch(size, len(table))


def _scaled(call: Call, x: Floating, scales: tuple[float, ...] | None) -> Scaling:
    if scales is None or len(scales) != len(x.shape) or any(not 0 < scale <= MAX_ELEMENTS for scale in scales):
        raise call.corrupt(f"the scales {show_some(scales or ())} do not match its operand.")
    factors = [np.float32(scale) for scale in scales]
    return factors, [
        size if factor == 1 else int(np.float32(size) * factor) for size, factor in zip(x.shape, factors, strict=True)
    ]


def _resize(call: Call) -> Floating:
    """Resize in mode nearest; interpolation between elements is refused."""
    x = call.tensor(0)
    call.ignore("cubic_coeff_a", "exclude_outside", "extrapolation_value")
    if call.text("mode", "nearest") != "nearest" or call.whole("antialias", 0):
        raise call.unsupported("interpolation between elements; only the nearest is read.")
    if call.opset < 11:
        return _resized(call, x, _scaled(call, x, _vector(call, 1)), "asymmetric", _BEFORE_11)
    position = call.text("coordinate_transformation_mode", "half_pixel")
    rounding = call.text("nearest_mode", "round_prefer_floor")
    if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise call.unsupported("a resize that keeps the aspect ratio.")
    call.optional(1)  # the region of interest, which only tf_crop_and_resize reads
    axes = call.ints("axes")
    return _resized(call, x, _sizes(call, x, axes), position, (rounding, rounding))


def _vector(call: Call, index: int) -> tuple[float, ...] | None:
    known = call.known(index)
    if known is None or known.tensor.numel() == 0:
        return None
    check_rank(known.tensor.numel(), f"What {call.what} scales")
    return tuple(float(scale) for scale in known.tensor.reshape(-1).tolist())


def _sizes(call: Call, x: Floating, axes: tuple[int, ...] | None) -> Scaling:
    """Scale and new size of every axis, from the operand `scales` or the operand `sizes`."""
    rank = len(x.shape)
    places = tuple(range(rank)) if axes is None else axes_in(call, axes, rank)
    scales = _vector(call, 2)
    wanted = call.integers(3)
    given = scales if scales is not None else wanted
    if given is None or (scales is not None and wanted) or len(given) != len(places):
        raise call.corrupt("it needs either scales or sizes, one for each axis.")
    if scales is not None:
        every = dict(zip(places, scales, strict=True))
        return _scaled(call, x, tuple(every.get(axis, 1.0) for axis in range(rank)))
    sizes = list(x.shape)
    for axis, size in zip(places, wanted or (), strict=True):
        follows = sizes[axis] == BATCH and size == (call.build.file_batch or 1)
        sizes[axis] = BATCH if follows else size
    return [ratio(old, new) for old, new in zip(x.shape, sizes, strict=True)], sizes


def _upsample(call: Call) -> Floating:
    """Upsample, Resize's elder brother."""
    x = call.tensor(0)
    if call.text("mode", "nearest") != "nearest":
        raise call.unsupported("interpolation between elements; only the nearest is read.")
    scales = call.floats("scales") if call.opset < 9 else _vector(call, 1)
    return _resized(call, x, _scaled(call, x, scales), "asymmetric", _BEFORE_11)


IMPORTERS: Importers = {"Resize": _resize, "Upsample": _upsample}
