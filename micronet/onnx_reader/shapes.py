"""Shapes read off and changed: Shape, Reshape, Flatten, Transpose, Squeeze, Unsqueeze, Expand, Tile."""

import math

import torch

from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.tensors import check_rank
from micronet.onnx_reader.values import BATCH, Floating, Known, at_batch, literal, multiple_of_batch


def axes_in(call: Call, axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """`axes` counted from 0. CorruptFile if one is out of range or named twice."""
    if len(axes) > rank:
        raise call.corrupt(f"{len(axes):,} axes are too many for {rank} dimensions.")
    if any(not -rank <= axis < rank for axis in axes):
        raise call.corrupt(f"axes {axes} are not all within {rank} dimensions.")
    positive = tuple(axis % rank for axis in axes)
    if len(set(positive)) != len(positive):
        raise call.corrupt(f"axes {axes} name one dimension twice.")
    return positive


def reshape(call: Call, x: Floating, shape: tuple[int, ...]) -> Floating:
    """`x` in another shape; where a size is a multiple of N, the node says -1, so that the batch stays free."""
    check_rank(len(shape), f"A value of {call.what}")
    if shape == x.shape:
        return x
    free = tuple(-1 if multiple_of_batch(size) else size for size in shape)
    return call.emit("reshape", x, free if free.count(-1) == 1 else shape)


def _target(call: Call, x: Floating, wanted: tuple[int, ...], zero_copies: bool) -> tuple[int, ...]:
    """`wanted` with 0 and -1 resolved, N in it."""
    if zero_copies:
        if any(size == 0 and axis >= len(x.shape) for axis, size in enumerate(wanted)):
            raise call.corrupt("a 0 in the shape has no dimension to copy.")
        wanted = tuple(x.shape[axis] if size == 0 else size for axis, size in enumerate(wanted))
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise call.corrupt(f"the shape {wanted} has more than one unknown.")
    elements, rest = math.prod(x.shape), math.prod(size for size in wanted if size != -1)
    if -1 in wanted and rest and elements % rest == 0:
        solved = tuple(elements // rest if size == -1 else size for size in wanted)
        if not _batch_fell_in(call, x, wanted, elements // rest):
            return solved
    elif -1 not in wanted and rest == elements:
        return wanted
    return _follow_batch(call, x, wanted)


def _batch_fell_in(call: Call, x: Floating, wanted: tuple[int, ...], solved: int) -> bool:
    """Whether -1 took up N, where a number in front stood for it: [1, -1] in a file saved for one image."""
    if not multiple_of_batch(solved) or solved == BATCH or wanted[0] == -1:
        return False
    return call.build.file_batch is not None or (wanted[0] == 1 and x.shape[0] == BATCH)


def _follow_batch(call: Call, x: Floating, wanted: tuple[int, ...]) -> tuple[int, ...]:
    """`wanted` of a file that was saved for a fixed batch size, with N in the place of that size."""
    saved = call.build.file_batch or 1
    sizes, target = at_batch(x.shape, saved), at_batch(wanted, saved)
    rest = math.prod(size for size in target if size != -1)
    if -1 in target and rest and math.prod(sizes) % rest == 0:
        target = tuple(math.prod(sizes) // rest if size == -1 else size for size in target)
    carriers = [axis for axis, size in enumerate(x.shape) if multiple_of_batch(size)]
    if math.prod(target) != math.prod(sizes) or len(carriers) != 1:
        raise call.corrupt(f"{math.prod(sizes)} elements do not fill the shape {wanted}.")
    axis = _batch_axis(sizes, target, carriers[0], saved)
    if axis is None:
        raise call.unsupported(f"where the batch goes in the shape {wanted} cannot be told; leave it open with -1.")
    call.build.guessed = True
    return (*target[:axis], target[axis] // saved * BATCH, *target[axis + 1 :])


def _batch_axis(sizes: tuple[int, ...], target: tuple[int, ...], carrier: int, saved: int) -> int | None:
    """Which axis of `target` takes over N from the axis `carrier` of `sizes`, both at N = `saved`.

    Elements keep their row-major order, so it is an axis within, at the start, or at the end of the carrier's stretch.
    First choice is one of size `saved` within it, then one that starts there and is not the last (features lie there),
    then one that ends there. It stays a guess; `import_graph` checks that images do not mix.
    """
    start = math.prod(sizes[:carrier])
    end = start * sizes[carrier]
    stretches = [(math.prod(target[:axis]), math.prod(target[: axis + 1])) for axis in range(len(target))]
    last = len(target) - 1 if carrier != len(sizes) - 1 else len(target)
    divisible = [axis for axis, size in enumerate(target) if size % saved == 0]
    choices = (
        [a for a in divisible if start <= stretches[a][0] and stretches[a][1] <= end and target[a] == saved],
        [a for a in divisible if stretches[a][0] == start and a < last],
        [a for a in divisible if stretches[a][1] == end],
    )
    return next((found[0] for found in choices if found), None)


def _reshape(call: Call) -> Floating:
    x, wanted = call.tensor(0), call.integers(1)
    if wanted is None:
        raise call.corrupt("the shape is missing.")
    return reshape(call, x, _target(call, x, wanted, zero_copies=not call.whole("allowzero", 0)))


def _flatten(call: Call) -> Floating:
    x, axis = call.tensor(0), call.whole("axis", 1)
    rank = len(x.shape)
    if not -rank <= axis <= rank:
        raise call.corrupt(f"axis {axis} is not within {rank} dimensions.")
    axis = axis + rank if axis < 0 else axis
    return reshape(call, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _transpose(call: Call) -> Floating:
    x = call.tensor(0)
    order = axes_in(call, call.ints("perm") or tuple(reversed(range(len(x.shape)))), len(x.shape))
    return x if order == tuple(range(len(order))) else call.emit("permute", x, order)


def _axes(call: Call) -> tuple[int, ...] | None:
    return call.ints("axes") if call.opset < 13 else call.integers(1)


def _squeeze(call: Call) -> Floating:
    x, axes = call.tensor(0), _axes(call)
    if axes is None:
        axes = tuple(axis for axis, size in enumerate(x.shape) if size == 1)
    axes = axes_in(call, axes, len(x.shape))
    if any(x.shape[axis] != 1 for axis in axes):
        raise call.unsupported(f"axes {axes} are not all of size 1 for every batch.")
    return call.emit("squeeze", x, axes) if axes else x


def _unsqueeze(call: Call) -> Floating:
    x, axes = call.tensor(0), _axes(call)
    if axes is None:
        raise call.corrupt("the axes are missing.")
    check_rank(len(x.shape) + len(axes), f"A value of {call.what}")
    for axis in sorted(axes_in(call, axes, len(x.shape) + len(axes))):
        x = call.emit("unsqueeze", x, axis)
    return x


def _expand(call: Call) -> Floating:
    x, wanted = call.tensor(0), call.integers(1)
    if wanted is None or min(wanted, default=0) < 0:
        raise call.corrupt("the shape is missing or negative.")
    return expand(call, x, wanted)


def expand(call: Call, x: Floating, wanted: tuple[int, ...]) -> Floating:
    """`x` broadcast with `wanted`, in both directions as ONNX has it."""
    rank = max(len(wanted), len(x.shape))
    check_rank(rank, f"A value of {call.what}")
    have = (1,) * (rank - len(x.shape)) + x.shape
    wanted = (1,) * (rank - len(wanted)) + wanted
    shape = []
    for size, want in zip(have, wanted, strict=True):
        follows = multiple_of_batch(size) and want == call.build.file_batch
        if size != want and 1 not in (size, want) and not follows:
            raise call.corrupt(f"{x.shape} does not broadcast to {wanted}.")
        shape.append(size if want == 1 or follows else want)
    if tuple(shape) == x.shape:
        return x
    kept = tuple(-1 if size == new and size != 1 else new for size, new in zip(have, shape, strict=True))
    padded = -1 in kept[: rank - len(x.shape)]
    return call.emit("expand", x, tuple(shape) if padded else kept)


def _tile(call: Call) -> Floating:
    x, repeats = call.tensor(0), call.integers(1)
    if repeats is None or len(repeats) != len(x.shape) or min(repeats, default=0) < 0:
        raise call.corrupt("repeats do not match the dimensions.")
    return x if set(repeats) <= {1} else call.emit("repeat", x, repeats)


def _shape(call: Call) -> Known:
    """Shape, as a constant with `BATCH` for N."""
    shape = call.tensor(0).shape
    end = call.whole("end", len(shape))
    return literal(torch.tensor(shape[call.whole("start", 0) : end], dtype=torch.int64), "shape")


def _size(call: Call) -> Known:
    return literal(torch.tensor(math.prod(call.tensor(0).shape)), "size")


IMPORTERS: Importers = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": _expand,
    "Tile": _tile,
    "Shape": _shape,
    "Size": _size,
}
