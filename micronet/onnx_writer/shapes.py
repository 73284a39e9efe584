"""Shapes changed: reshapes, transposes, repetitions, blocks as channels; and what does nothing."""

import torch

from micronet.onnx_writer.call import Call, Writers
from micronet.onnx_writer.linear import shaped
from micronet.transformation.spelling import IDENTITIES

aten = torch.ops.aten


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


def _pixel_shuffle(call: Call) -> str:
    return call.emit("DepthToSpace", call.value(0), blocksize=call.whole(1), mode="CRD")


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
    aten.expand.default: _expand,
    aten.repeat.default: _repeat,
    aten.pixel_shuffle.default: _pixel_shuffle,
}
