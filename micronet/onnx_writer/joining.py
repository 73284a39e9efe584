"""Values parted and joined."""

import operator

import torch

from micronet.graph.ir import Ref
from micronet.onnx_writer.call import Call, Writers

aten = torch.ops.aten


def _cat(call: Call) -> str:
    return call.emit("Concat", *_parts(call), axis=call.whole(1) % len(call.result))


def _stack(call: Call) -> str:
    axis = call.whole(1) % len(call.result)
    axes = call.draft.vector([axis])
    return call.emit("Concat", *(call.emit("Unsqueeze", part, axes) for part in _parts(call)), axis=axis)


def _parts(call: Call) -> list[str]:
    operands = call.argument(0)
    assert isinstance(operands, tuple)
    return [call.draft.value(operand.name) for operand in operands if isinstance(operand, Ref)]


def _split(call: Call) -> tuple[str, ...]:
    axis = call.axis(2)
    return _split_into(call, axis, _equal_parts(call, axis, call.whole(1)))


def _split_with_sizes(call: Call) -> tuple[str, ...]:
    call.fixed(0, call.axis(2))
    return _split_into(call, call.axis(2), list(call.integers(1)))


def _chunk(call: Call) -> tuple[str, ...]:
    axis = call.axis(2)
    return _split_into(call, axis, _equal_parts(call, axis, -(-call.fixed(0, axis) // call.whole(1))))


def _unbind(call: Call) -> tuple[str, ...]:
    axis = call.axis(1)
    parts = _split_into(call, axis, [1] * call.fixed(0, axis))
    axes = call.draft.vector([axis])
    return tuple(call.emit("Squeeze", part, axes) for part in parts)


def _split_into(call: Call, axis: int, sizes: list[int]) -> tuple[str, ...]:
    if len(sizes) == 1:
        return (call.value(0),)
    return call.emit_parts("Split", len(sizes), call.value(0), call.draft.vector(sizes), axis=axis)


def _equal_parts(call: Call, axis: int, each: int) -> list[int]:
    """Sizes of parts of `each`, the last one what is left."""
    size = call.fixed(0, axis)
    return [min(each, size - start) for start in range(0, size, each)]


def _item(call: Call) -> str:
    parts = call.draft.values[call.name(0)]
    assert isinstance(parts, tuple)
    return parts[call.whole(1)]


WRITERS: Writers = {
    aten.cat.default: _cat,
    aten.stack.default: _stack,
    aten.split.Tensor: _split,
    aten.split_with_sizes.default: _split_with_sizes,
    aten.chunk.default: _chunk,
    aten.unbind.int: _unbind,
    operator.getitem: _item,
}
