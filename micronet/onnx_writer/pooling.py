"""Pools and reductions."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from micronet.onnx_writer.call import Call, Writer, Writers

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class _Window:
    """A kernel and how it moves; padding lies on either side."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]

    def attributes(self) -> dict[str, Sequence[int]]:
        return {"kernel_shape": self.kernel, "strides": self.strides, "pads": (*self.pads, *self.pads)}

    def hangs_over(self, call: Call, dilations: tuple[int, ...]) -> bool:
        """Whether ceil_mode adds a window that hangs over the edge."""
        rows = zip(range(2, 2 + len(self.kernel)), self.kernel, self.strides, self.pads, dilations, strict=True)
        return any(
            (call.fixed(0, axis) + 2 * pad - gap * (side - 1) - 1) // stride + 1 != call.made(axis)
            for axis, side, stride, pad, gap in rows
        )


def _window(call: Call) -> _Window:
    rank = len(call.sizes(0)) - 2
    kernel = call.integers(1, rank)
    strides = call.integers(2, rank) if call.argument(2) not in ((), None) else kernel
    return _Window(kernel, strides, call.integers(3, rank))


def _max_pool(call: Call) -> str:
    window = _window(call)
    dilations = call.integers(4, len(window.kernel))
    ceil = int(window.hangs_over(call, dilations))
    return call.emit("MaxPool", call.value(0), **window.attributes(), dilations=dilations, ceil_mode=ceil)


def _average_pool(call: Call) -> str:
    window = _window(call)
    ceil, count_padding = window.hangs_over(call, (1,) * len(window.kernel)), int(bool(call.argument(5)))
    if ceil and any(window.pads) and count_padding:
        raise call.refuse("a mean over padding and over windows that hang over the edge.")
    if call.argument(6) is not None:
        raise call.refuse("a mean with a divisor of its own.")
    if ceil:  # what runs files counts the places beyond the edge, too, where padding counts
        return call.emit("AveragePool", call.value(0), **window.attributes(), count_include_pad=0, ceil_mode=1)
    return call.emit("AveragePool", call.value(0), **window.attributes(), count_include_pad=count_padding)


def _adaptive_average(call: Call) -> str:
    """The mean of the whole image, or of equal parts of it."""
    if all(call.made(axis) == 1 for axis in range(2, len(call.sizes(0)))):
        return call.emit("GlobalAveragePool", call.value(0))
    part = _equal_part(call, "means")
    return call.emit("AveragePool", call.value(0), kernel_shape=part, strides=part)


def _adaptive_max(call: Call) -> tuple[str, ...]:
    """The largest of each of equal parts; where it stood, which the operation gives too, is not written."""
    part = _equal_part(call, "maxima")
    return (call.emit("MaxPool", call.value(0), kernel_shape=part, strides=part),)


def _equal_part(call: Call, what: str) -> list[int]:
    """Sides of the parts that the image falls into."""
    axes = range(2, len(call.sizes(0)))
    sides, parts = [call.fixed(0, axis) for axis in axes], [call.made(axis) for axis in axes]
    if any(side % part for side, part in zip(sides, parts, strict=True)):
        raise call.refuse(f"{what} of unequal parts, {sides} into {parts}.")
    return [side // part for side, part in zip(sides, parts, strict=True)]


def _reduction(op: str) -> Writer:
    def writer(call: Call) -> str:
        if call.argument(3) not in (None, torch.float32):
            raise call.refuse("a reduction in another type than float32.")
        rank = len(call.sizes(0))
        given = call.integers(1) if call.argument(1) not in (None, ()) else range(rank)
        axes = call.draft.vector(sorted(axis % rank for axis in given))
        return call.emit(op, call.value(0), axes, keepdims=int(bool(call.argument(2))))

    return writer


WRITERS: Writers = {
    aten.max_pool1d.default: _max_pool,
    aten.max_pool2d.default: _max_pool,
    aten.avg_pool1d.default: _average_pool,
    aten.avg_pool2d.default: _average_pool,
    aten.adaptive_avg_pool1d.default: _adaptive_average,
    aten.adaptive_avg_pool2d.default: _adaptive_average,
    aten.adaptive_max_pool2d.default: _adaptive_max,
    aten.mean.dim: _reduction("ReduceMean"),
    aten.sum.dim_IntList: _reduction("ReduceSum"),
    aten.amax.default: _reduction("ReduceMax"),
    aten.amin.default: _reduction("ReduceMin"),
}
