"""Resize and Upsample by copying the nearest element."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.indexing import take
from micronet.onnx_reader.values import BATCH, MAX_ELEMENTS, Floating, multiple_of_batch

Position = Callable[[int, float, int, int], float]
"""Where output element `index` lies in the input: (index, scale, input size, output size) -> coordinate."""

Scaling = tuple[list[float], list[int]]
"""Scale and new size of every axis."""

_POSITIONS: Mapping[str, Position] = {
    "asymmetric": lambda i, scale, size, out: i / scale,
    "half_pixel": lambda i, scale, size, out: (i + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda i, scale, size, out: (i + 0.5) / scale - 0.5 if out > 1 else 0.0,
    "align_corners": lambda i, scale, size, out: i * (size - 1) / (out - 1) if out > 1 else 0.0,
}

_ROUNDINGS: Mapping[str, Callable[[float], int]] = {
    "round_prefer_floor": lambda x: math.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: math.floor(x + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}


def _nearest(call: Call, x: Floating, scaling: Scaling, position: str, rounding: str) -> Floating:
    """Each axis by its own table of which input element an output element copies."""
    if position not in _POSITIONS or rounding not in _ROUNDINGS:
        raise call.unsupported(f"coordinates {position!r} rounded by {rounding!r}.")
    tables: dict[int, list[int]] = {}
    for axis, (scale, out) in enumerate(zip(*scaling, strict=True)):
        size = x.shape[axis]
        if size == out and scale == 1:
            continue
        if multiple_of_batch(size):
            raise call.unsupported("a batch that changes its size.")
        if not 0 < out <= MAX_TABLE or size < 1:
            raise call.unsupported(f"a dimension of {size} resized to {out}.")
        nearest = (_ROUNDINGS[rounding](_POSITIONS[position](i, scale, size, out)) for i in range(out))
        tables[axis] = [min(max(index, 0), size - 1) for index in nearest]
    if (
        len(x.shape) == 4
        and tables.keys() == {2, 3}
        and all(
            table == [index * x.shape[axis] // len(table) for index in range(len(table))]
            for axis, table in tables.items()
        )
    ):
        return call.emit("upsample_nearest2d", x, (len(tables[2]), len(tables[3])))
    for axis, table in tables.items():
        x = take(call, x, axis, table)
    return x


MAX_TABLE = 2**20
"""Longest side an image can be resized to."""


def _scaled(call: Call, x: Floating, scales: tuple[float, ...] | None) -> Scaling:
    if scales is None or len(scales) != len(x.shape) or any(not 0 < scale <= MAX_ELEMENTS for scale in scales):
        raise call.corrupt(f"the scales {scales} do not match its operand.")
    return list(scales), [
        size if s == 1 else math.floor(size * Fraction(s)) for size, s in zip(x.shape, scales, strict=True)
    ]


def _resize(call: Call) -> Floating:
    """Resize in mode nearest; interpolation between elements is refused."""
    x = call.tensor(0)
    call.ignore("cubic_coeff_a", "exclude_outside", "extrapolation_value")
    if call.text("mode", "nearest") != "nearest" or call.whole("antialias", 0):
        raise call.unsupported("interpolation between elements; only the nearest is read.")
    if call.opset < 11:
        return _nearest(call, x, _scaled(call, x, _vector(call, 1)), "asymmetric", "floor")
    position = call.text("coordinate_transformation_mode", "half_pixel")
    rounding = call.text("nearest_mode", "round_prefer_floor")
    if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise call.unsupported("a resize that keeps the aspect ratio.")
    call.optional(1)  # the region of interest, which only tf_crop_and_resize reads
    axes = call.ints("axes")
    return _nearest(call, x, _sizes(call, x, axes), position, rounding)


def _vector(call: Call, index: int) -> tuple[float, ...] | None:
    known = call.known(index)
    if known is None or known.tensor.numel() == 0:
        return None
    return tuple(float(scale) for scale in known.tensor.reshape(-1).tolist())


def _sizes(call: Call, x: Floating, axes: tuple[int, ...] | None) -> Scaling:
    """Scale and new size of every axis, from the operand `scales` or the operand `sizes`."""
    rank = len(x.shape)
    places = range(rank) if axes is None else [axis % rank for axis in axes]
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
    return [new / max(old, 1) for new, old in zip(sizes, x.shape, strict=True)], sizes


def _upsample(call: Call) -> Floating:
    """Upsample, Resize's elder brother."""
    x = call.tensor(0)
    if call.text("mode", "nearest") != "nearest":
        raise call.unsupported("interpolation between elements; only the nearest is read.")
    scales = call.floats("scales") if call.opset < 9 else _vector(call, 1)
    return _nearest(call, x, _scaled(call, x, scales), "asymmetric", "floor")


IMPORTERS: Importers = {"Resize": _resize, "Upsample": _upsample}
