"""Operations that move values about: reshapes, transposes, slices, joins, borders."""

import operator
from collections.abc import Mapping

import torch

from micronet.graph.ir import Ref
from micronet.onnx_reader.resizing import nearest, nearest_by_torch, ratio
from micronet.onnx_writer.call import Call, Writers
from micronet.onnx_writer.linear import shaped
from micronet.transformation.spelling import IDENTITIES

aten = torch.ops.aten

_END = 2**63 - 1


def _same(call: Call) -> str:
    """Nothing to write: the value keeps the name it has."""
    return call.value(0)


def _reshape(call: Call) -> str:
    """Another shape; Flatten where that says it, for runtimes know it better."""
    have, want = call.sizes(0), call.result
    if have == want:
        return call.value(0)
    if have[0] is None and len(want) == 2 and want[0] is None and _keeps_first(call):
        return call.emit("Flatten", call.value(0), axis=1)
    return shaped(call, call.value(0))


def _keeps_first(call: Call) -> bool:
    """Whether the first axis keeps its size: rows (N T, C) of images (N, T, C) are no Flatten of them."""
    before, after = (call.draft.images_per_size(name, 0) for name in (call.name(0), call.node.name))
    return before == after


def _permute(call: Call) -> str:
    rank = len(call.sizes(0))
    return call.emit("Transpose", call.value(0), perm=[axis % rank for axis in call.integers(1)])


def _transpose(call: Call) -> str:
    order = list(range(len(call.sizes(0))))
    first, second = (call.axis(1), call.axis(2)) if len(call.node.args) > 1 else (0, len(order) - 1)
    order[first], order[second] = order[second], order[first]
    return call.emit("Transpose", call.value(0), perm=order)


def _parts(call: Call) -> list[str]:
    operands = call.argument(0)
    assert isinstance(operands, tuple)
    return [call.draft.value(operand.name) for operand in operands if isinstance(operand, Ref)]


def _cat(call: Call) -> str:
    return call.emit("Concat", *_parts(call), axis=call.whole(1) % len(call.result))


def _stack(call: Call) -> str:
    axis = call.whole(1) % len(call.result)
    axes = call.draft.vector([axis])
    return call.emit("Concat", *(call.emit("Unsqueeze", part, axes) for part in _parts(call)), axis=axis)


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


def _split_into(call: Call, axis: int, sizes: list[int]) -> tuple[str, ...]:
    if len(sizes) == 1:
        return (call.value(0),)
    return call.emit_parts("Split", len(sizes), call.value(0), call.draft.vector(sizes), axis=axis)


def _equal_parts(call: Call, axis: int, each: int) -> list[int]:
    """Sizes of parts of `each`, the last one what is left."""
    size = call.fixed(0, axis)
    return [min(each, size - start) for start in range(0, size, each)]


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


def _item(call: Call) -> str:
    parts = call.draft.values[call.name(0)]
    assert isinstance(parts, tuple)
    return parts[call.whole(1)]


def _expand(call: Call) -> str:
    """Expand broadcasts both ways, so a 1 keeps a size; where an image of its own is made for each, N is read off."""
    have, want = call.sizes(0), call.result
    padded = (1,) * (len(want) - len(have)) + have
    if padded == want and len(have) == len(want):
        return call.value(0)
    sizes = [1 if old == new else new for old, new in zip(padded, want, strict=True)]
    return call.emit("Expand", call.value(0), _shape(call, sizes))


def _shape(call: Call, sizes: list[int | None]) -> str:
    """A vector of sizes, with N where there is None."""
    if None not in sizes:
        return call.draft.vector(size for size in sizes if size is not None)
    if sizes.count(None) > 1 or call.draft.images_per_size(call.node.name, sizes.index(None)) != 1:
        raise call.refuse("it spreads values over a multiple of the batch.")
    batch = call.emit("Shape", call.draft.graph.input, start=0, end=1)
    parts = [batch if size is None else call.draft.vector([size]) for size in sizes]
    return call.emit("Concat", *parts, axis=0)


def _repeat(call: Call) -> str:
    repeats, have = call.integers(1), call.sizes(0)
    x = call.value(0)
    if len(repeats) > len(have):
        x = call.emit("Unsqueeze", x, call.draft.vector(range(len(repeats) - len(have))))
    return call.emit("Tile", x, call.draft.vector(repeats))


def _pad(call: Call) -> str:
    """A border of one number; torch writes pairs from the last axis on, ONNX all befores and then all afters."""
    is_plain = call.node.target is aten.constant_pad_nd.default
    if not is_plain and call.argument(2) != "constant":
        raise call.refuse(f"a border of copied elements ({call.argument(2)}) beside one that is cut off; slice first.")
    amounts, rank = call.integers(1), len(call.sizes(0))
    before, after = [0] * rank, [0] * rank
    for pair in range(len(amounts) // 2):
        before[rank - 1 - pair], after[rank - 1 - pair] = amounts[2 * pair : 2 * pair + 2]
    if not any(amounts):
        return call.value(0)
    value = call.argument(2 if is_plain else 3)
    number = call.draft.number(float(value) if isinstance(value, int | float) else 0.0)
    return call.emit("Pad", call.value(0), call.draft.vector((*before, *after)), number)


def _pixel_shuffle(call: Call) -> str:
    return call.emit("DepthToSpace", call.value(0), blocksize=call.whole(1), mode="CRD")


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
    **dict.fromkeys(IDENTITIES - {aten.dropout.default}, _same),
    **dict.fromkeys(
        (
            aten.view.default,
            aten.reshape.default,
            aten.flatten.using_ints,
            aten.unflatten.int,
            aten.squeeze.default,
            aten.squeeze.dim,
            aten.squeeze.dims,
            aten.unsqueeze.default,
        ),
        _reshape,
    ),
    aten.permute.default: _permute,
    aten.transpose.int: _transpose,
    aten.t.default: _transpose,
    aten.cat.default: _cat,
    aten.stack.default: _stack,
    aten.slice.Tensor: _slice,
    aten.narrow.default: _narrow,
    aten.select.int: _select,
    aten.index_select.default: _index_select,
    aten.split.Tensor: _split,
    aten.split_with_sizes.default: _split_with_sizes,
    aten.chunk.default: _chunk,
    aten.unbind.int: _unbind,
    operator.getitem: _item,
    aten.expand.default: _expand,
    aten.repeat.default: _repeat,
    aten.constant_pad_nd.default: _pad,
    aten.pad.default: _pad,
    aten.pixel_shuffle.default: _pixel_shuffle,
    aten.upsample_nearest2d.default: _upsample_nearest,
    aten.upsample_nearest2d.vec: _upsample_nearest,
}
