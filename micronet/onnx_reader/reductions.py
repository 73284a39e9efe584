"""Reductions over axes."""

from micronet.onnx_reader.call import Call, Importer, Importers
from micronet.onnx_reader.shapes import axes_in
from micronet.onnx_reader.values import Floating


def _axes(call: Call, since: int) -> tuple[int, ...] | None:
    """Axes to reduce, an attribute before opset `since` and an operand from then on; None if there is nothing to do."""
    every = tuple(range(len(call.tensor(0).shape)))
    if call.opset < since:
        return call.ints("axes") or every
    nothing = bool(call.whole("noop_with_empty_axes", 0))
    return call.integers(1) or (None if nothing else every)


def _reduction(name: str, since: int) -> Importer:
    def importer(call: Call) -> Floating:
        x, axes, keep = call.tensor(0), _axes(call, since), bool(call.whole("keepdims", 1))
        if axes is None or not x.shape:
            return x
        return call.emit(name, x, axes_in(call, axes, len(x.shape)), keep)

    return importer


def _length(call: Call) -> Floating:
    """ReduceL2: sqrt(sum(x^2)), as weights are normalized by it."""
    x, axes, keep = call.tensor(0), _axes(call, 18), bool(call.whole("keepdims", 1))
    if axes is None:
        raise call.unsupported("the length of single numbers.")
    squares = call.emit("pow_number", x, 2.0)
    return call.emit("sqrt", call.emit("sum", squares, axes_in(call, axes, len(x.shape)), keep) if axes else squares)


IMPORTERS: Importers = {
    "ReduceMean": _reduction("mean", 18),
    "ReduceSum": _reduction("sum", 13),
    "ReduceL2": _length,
    "ReduceMax": _reduction("amax", 18),
    "ReduceMin": _reduction("amin", 18),
}
