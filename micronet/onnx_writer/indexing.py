"""Parts taken out of values: slices, and elements by number."""

import torch

from micronet.onnx_writer.call import Call, Writers

aten = torch.ops.aten

_END = 2**63 - 1


def _slice(call: Call) -> str:
    start, end = (
        (0 if call.argument(2) is None else call.whole(2)),
        (_END if call.argument(3) is None else call.whole(3)),
    )
    return _sliced(call, call.axis(1), start, end, call.whole(4))


def _narrow(call: Call) -> str:
    axis, start = call.axis(1), call.whole(2)
    start = start if start >= 0 else start + call.fixed(0, axis)
    return _sliced(call, axis, start, start + call.whole(3), 1)


def _sliced(call: Call, axis: int, start: int, end: int, step: int) -> str:
    return call.emit("Slice", call.value(0), *(call.draft.vector([entry]) for entry in (start, end, axis, step)))


def _select(call: Call) -> str:
    axis, index = call.axis(1), call.whole(2)
    index = index if index >= 0 else index + call.fixed(0, axis)
    return call.emit("Gather", call.value(0), call.draft.index(index), axis=axis)


def _index_select(call: Call) -> str:
    return call.emit("Gather", call.value(0), call.value(2), axis=call.axis(1))


WRITERS: Writers = {
    aten.slice.Tensor: _slice,
    aten.narrow.default: _narrow,
    aten.select.int: _select,
    aten.index_select.default: _index_select,
}
