"""Images enlarged and reduced by copying the nearest element."""

from collections.abc import Mapping

import torch

from micronet.onnx_reader.resizing import nearest, nearest_by_torch, ratio
from micronet.onnx_writer.call import Call, Writers

aten = torch.ops.aten


def _upsample_nearest(call: Call) -> str:
    """Resize by the sizes where that picks the elements torch picks, else a Gather along each axis."""
    vector = call.node.target is aten.upsample_nearest2d.vec
    given = call.argument(2) if vector else (call.argument(2), call.argument(3))
    scales = given if isinstance(given, tuple) else (None, None)
    sizes = [(call.fixed(0, axis), call.made(axis)) for axis in (2, 3)]
    tables = [
        nearest_by_torch(*size, scale if isinstance(scale, int | float) else None)
        for size, scale in zip(sizes, scales, strict=True)
    ]
    if tables != [nearest(*size, ratio(*size), "asymmetric", "floor") for size in sizes]:
        return _gathered(call, dict(zip((2, 3), tables, strict=True)))
    return call.emit(
        "Resize",
        call.value(0),
        "",
        "",
        call.draft.vector(new for _, new in sizes),
        axes=[2, 3],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def _gathered(call: Call, tables: Mapping[int, list[int]]) -> str:
    """Elements by number, axis by axis. The numbers are written one by one, for as one tensor they would be stored."""
    x = call.value(0)
    for axis, table in tables.items():
        if table != list(range(call.fixed(0, axis))):
            numbers = {place: call.draft.filled(torch.tensor([place]), (1,)) for place in sorted(set(table))}
            x = call.emit("Gather", x, call.emit("Concat", *map(numbers.__getitem__, table), axis=0), axis=axis)
    return x


WRITERS: Writers = {
    aten.upsample_nearest2d.default: _upsample_nearest,
    aten.upsample_nearest2d.vec: _upsample_nearest,
}
