"""Pools over windows and over whole images."""

import math

import torch

from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.elementwise import multiply
from micronet.onnx_reader.values import Floating, literal
from micronet.onnx_reader.windows import Window, count_windows, read_window, trailing


def _pool_window(call: Call, x: Floating) -> Window:
    kernel = call.ints("kernel_shape")
    if kernel is None:
        raise call.corrupt("kernel_shape is missing.")
    if len(x.shape) not in (3, 4):
        raise call.unsupported(f"a pool over {len(x.shape) - 2} dimensions; 1 or 2 are read.")
    return read_window(call, x.shape[2:], kernel, ceil_mode=bool(call.whole("ceil_mode", 0)))


def _exact_after(window: Window, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Padding after the image with which exactly `window.outputs` windows fit; negative where the end is never read."""
    return tuple(
        (n - 1) * s + r - size - low
        for n, s, r, size, low in zip(window.outputs, window.strides, window.reach, sizes, window.before, strict=True)
    )


def _is_plain(window: Window, sizes: tuple[int, ...]) -> bool:
    """Whether torch's own padding says the same: even, at most half a kernel, every window inside it."""
    needed = _exact_after(window, sizes)
    return window.before == window.after and all(
        low <= k // 2 and after <= low for low, k, after in zip(window.before, window.kernel, needed, strict=True)
    )


def _is_plain_ceil(window: Window, sizes: tuple[int, ...]) -> bool:
    """Whether torch's own ceil_mode says the same: even padding, a last window that hangs over the edge."""
    rows = zip(sizes, window.before, window.after, window.kernel, window.strides, window.reach, strict=True)
    counts = [
        count_windows(size + low, high, reach, stride, ceil_mode=True) if low == high <= side // 2 else 0
        for size, low, high, side, stride, reach in rows
    ]
    return tuple(counts) == window.outputs


def _max_pool(call: Call) -> Floating:
    """MaxPool; padding torch does not know is a pad with -infinity in front."""
    x = call.tensor(0)
    call.whole("storage_order", 0)
    window = _pool_window(call, x)
    rank, sizes = len(window.kernel), x.shape[2:]
    before, ceil = window.before, False
    if not _is_plain(window, sizes):
        ceil = _is_plain_ceil(window, sizes)
        if not ceil:
            x = call.emit("pad", x, trailing(before, _exact_after(window, sizes)), -math.inf)
            before = (0,) * rank
    return call.emit(f"max_pool{rank}d", x, window.kernel, window.strides, before, window.dilations, ceil)


def _average_pool(call: Call) -> Floating:
    """AveragePool; where windows hang over the edge in ways torch does not know, the mean is of a padded image,
    times the number of places of the window over the number of them that count."""
    x = call.tensor(0)
    window = _pool_window(call, x)
    rank, sizes = len(window.kernel), x.shape[2:]
    count_padding = bool(call.whole("count_include_pad", 0))
    if any(d != 1 for d in window.dilations):
        raise call.unsupported("an average pool with gaps between its elements.")
    if _is_plain(window, sizes):
        return call.emit(f"avg_pool{rank}d", x, window.kernel, window.strides, window.before, False, count_padding)
    if _is_plain_ceil(window, sizes):
        return call.emit(f"avg_pool{rank}d", x, window.kernel, window.strides, window.before, True, count_padding)
    padded = call.emit("pad", x, trailing(window.before, _exact_after(window, sizes)), 0.0)
    mean = call.emit(f"avg_pool{rank}d", padded, window.kernel, window.strides, (0,) * rank, False, True)
    correction = _correction(window, sizes, count_padding)
    return mean if bool((correction == 1).all()) else multiply(call, mean, literal(correction, "window_correction"))


def _correction(window: Window, sizes: tuple[int, ...], count_padding: bool) -> torch.Tensor:
    """Places of a window over places that count, for each window: the image's, and the declared padding's if asked."""
    result = torch.ones(())
    for axis, size in enumerate(sizes):
        low, high = (0, size + window.before[axis] + window.after[axis])
        if not count_padding:
            low, high = window.before[axis], window.before[axis] + size
        start = torch.arange(window.outputs[axis]) * window.strides[axis]
        inside = (start + window.kernel[axis]).clamp(max=high) - start.clamp(min=low)
        result = result.unsqueeze(-1) * (window.kernel[axis] / inside)
    return result


def _global_average(call: Call) -> Floating:
    x = call.tensor(0)
    if len(x.shape) == 4:
        return call.emit("adaptive_avg_pool2d", x, (1, 1))
    return call.emit("mean", x, tuple(range(2, len(x.shape))), True)


def _global_max(call: Call) -> Floating:
    x = call.tensor(0)
    return call.emit("amax", x, tuple(range(2, len(x.shape))), True)


IMPORTERS: Importers = {
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average,
    "GlobalMaxPool": _global_max,
}
