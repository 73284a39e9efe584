"""Windows that slide over an image: strides, dilations and padding of convolutions and pools."""

from collections.abc import Sequence
from dataclasses import dataclass

from micronet.onnx_reader.call import Call
from micronet.shown import show

_MAX_EXTENT = 2**31 - 1  # that kernels of pools take


@dataclass(frozen=True, slots=True)
class Window:
    """A kernel, how it moves, and how many places of padding lie before and after each dimension.

    `outputs` is how often it fits, with `ceil_mode` counting a last one that begins inside the image or before it.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """Places from the first to the last element a window reads."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))


def read_window(call: Call, sizes: tuple[int, ...], kernel: tuple[int, ...], ceil_mode: bool = False) -> Window:
    """The window of a Conv, MaxPool or AveragePool over `sizes`. CorruptFile if it cannot be one."""
    rank = len(sizes)
    strides = call.ints("strides") or (1,) * rank
    dilations = call.ints("dilations") or (1,) * rank
    pads = call.ints("pads")
    automatic = call.text("auto_pad", "NOTSET")
    if {len(kernel), len(strides), len(dilations)} != {rank} or (pads is not None and len(pads) != 2 * rank):
        raise call.corrupt(f"kernel, strides, dilations and pads do not all fit {rank} dimensions.")
    if min((*kernel, *strides, *dilations)) < 1 or min(pads or (0,)) < 0:
        raise call.corrupt("kernel, strides and dilations must be at least 1, pads at least 0.")
    if max((*kernel, *strides, *dilations)) > _MAX_EXTENT:
        raise call.corrupt(f"kernel, strides and dilations must be at most {_MAX_EXTENT:,}.")
    dilations = tuple(d if k > 1 else 1 for k, d in zip(kernel, dilations, strict=True))  # see `plain_dilation`
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    before, after = (pads[:rank], pads[rank:]) if pads is not None else ((0,) * rank, (0,) * rank)
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        before, after = _same(sizes, reach, strides, automatic == "SAME_LOWER")
        ceil_mode = False
    elif automatic == "VALID":
        before = after = (0,) * rank
    elif automatic != "NOTSET":
        raise call.corrupt(f"auto_pad {show(automatic)} is none of ONNX's.")
    outputs = tuple(
        count_windows(low + size, high, span, stride, ceil_mode)
        for size, low, high, span, stride in zip(sizes, before, after, reach, strides, strict=True)
    )
    if min(outputs) < 1:
        raise call.corrupt(f"a window of {kernel} does not fit into {sizes}.")
    return Window(kernel, strides, dilations, before, after, outputs)


def _same(
    sizes: tuple[int, ...], reach: Sequence[int], strides: tuple[int, ...], lower: bool
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding that makes ceil(size / stride) windows; an odd place goes after the image, or before it if `lower`."""
    totals = [max((-(-n // s) - 1) * s + r - n, 0) for n, r, s in zip(sizes, reach, strides, strict=True)]
    small, large = tuple(t // 2 for t in totals), tuple(t - t // 2 for t in totals)
    return (large, small) if lower else (small, large)


def count_windows(size: int, after: int, reach: int, stride: int, ceil_mode: bool) -> int:
    """Windows over `size` places, those of the padding before the image among them, and `after` places of padding."""
    free = size + after - reach
    if not ceil_mode:
        return free // stride + 1
    count = -(-free // stride) + 1
    return count - 1 if (count - 1) * stride >= size else count


def trailing(before: Sequence[int], after: Sequence[int]) -> tuple[int, ...]:
    """Padding of the last dimensions as constant_pad_nd takes it: last dimension first, before and after in turn."""
    return tuple(amount for pair in reversed(list(zip(before, after, strict=True))) for amount in pair)
