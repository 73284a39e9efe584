"""Composites that move values about, or make constants: by slices, joins and reshapes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Reshaped to (groups, channels of each), transposed, and reshaped back."""
    parted = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    return parted.transpose(1, 2).reshape(x.shape)


def pixel_unshuffle(x: Tensor, factor: int) -> Tensor:
    """Blocks of factor x factor pixels become channels."""
    *lead, channels, height, width = x.shape
    parted = x.reshape(*lead, channels, height // factor, factor, width // factor, factor)
    first = len(lead)
    order = [*range(first), first, first + 2, first + 4, first + 1, first + 3]
    return parted.permute(order).reshape(*lead, channels * factor**2, height // factor, width // factor)


def pad(x: Tensor, amounts: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """A border of copied pixels, joined to the image axis by axis; one of a number is an operation of its own."""
    if mode not in _BORDERS or min(amounts) < 0:
        return NotImplemented
    for pair in range(len(amounts) // 2):
        x = _bordered(x, x.dim() - 1 - pair, mode, *amounts[2 * pair : 2 * pair + 2])
    return x.clone()


def _bordered(x: Tensor, axis: int, mode: str, before: int, after: int) -> Tensor:
    size = x.shape[axis]
    outside = [*range(-before, 0), *range(size, size + after)]
    copied = {place: x.narrow(axis, _BORDERS[mode](place, size), 1) for place in outside}
    parts = [*(copied[place] for place in outside[:before]), x, *(copied[place] for place in outside[before:])]
    return torch.cat(parts, axis) if outside else x


_BORDERS: Mapping[str, Callable[[int, int], int]] = {
    "reflect": lambda place, size: size - 1 - abs(size - 1 - abs(place)),
    "replicate": lambda place, size: min(max(place, 0), size - 1),
    "circular": lambda place, size: place % size,
}
"""Mode of a border -> which element of a row a place before or after it copies."""


def windows(
    x: Tensor, kernel: Sequence[int], dilation: Sequence[int], padding: Sequence[int], stride: Sequence[int]
) -> Any:
    """Of each channel and each place in the kernel, what stands there, window by window: slices, joined."""
    if x.dim() != 4:
        return NotImplemented
    (high, wide), (above, before) = kernel, padding
    x = aten.constant_pad_nd.default(x, [before, before, above, above], 0.0) if above or before else x
    rows, columns = (
        (size - spread * (side - 1) - 1) // step + 1
        for size, side, spread, step in zip(x.shape[2:], kernel, dilation, stride, strict=True)
    )
    places = [
        x[
            :,
            :,
            top : top + stride[0] * (rows - 1) + 1 : stride[0],
            left : left + stride[1] * (columns - 1) + 1 : stride[1],
        ]
        for top in range(0, high * dilation[0], dilation[0])
        for left in range(0, wide * dilation[1], dilation[1])
    ]
    return torch.stack(places, 2).reshape(x.shape[0], x.shape[1] * high * wide, rows * columns)


def unfold(x: Tensor, axis: int, size: int, step: int) -> Any:
    """Windows of an axis, with the places in each as the last axis: slices, joined."""
    if not x.dim():
        return NotImplemented
    windows = (x.shape[axis] - size) // step + 1
    last = step * (windows - 1) + 1
    return torch.stack([aten.slice.Tensor(x, axis, place, place + last, step) for place in range(size)], -1)


def roll(x: Tensor, shifts: Sequence[int], axes: Sequence[int] = ()) -> Any:
    """The end of a row, and then its beginning; over all axes at once, images of the batch would mix."""
    if len(shifts) != len(axes):
        return NotImplemented
    for shift, axis in zip(shifts, axes, strict=True):
        first = -shift % x.shape[axis] if x.shape[axis] else 0
        if first:
            x = torch.cat([x.narrow(axis, first, x.shape[axis] - first), x.narrow(axis, 0, first)], axis)
    return x.clone()


def index(x: Tensor, indices: Sequence[Tensor | None]) -> Any:
    """Places of one axis, each by its number, or counted from the end."""
    (axis, places), *others = [(axis, places) for axis, places in enumerate(indices) if places is not None]
    if others or axis == 0 or places.dim() != 1 or places.dtype == torch.bool:
        return NotImplemented
    return x.index_select(axis, torch.where(places < 0, places + x.shape[axis], places))


def flip(x: Tensor, axes: Sequence[int]) -> Any:
    """Places in reverse order, by their numbers."""
    if any(axis % x.dim() == 0 for axis in axes):
        return NotImplemented
    for axis in axes:
        x = x.index_select(axis, torch.arange(x.shape[axis] - 1, -1, -1))
    return x.clone()


def full(size: Sequence[int], number: float, *, dtype: torch.dtype | None = None, **_: object) -> Tensor:
    """One number that no training set, spread over `size`; of the number's own type, unless told."""
    return torch.tensor(number, dtype=dtype).expand(tuple(size))


def full_like(x: Tensor, number: float, *, dtype: torch.dtype | None = None, **_: object) -> Tensor:
    """The same in the shape of a tensor and, unless told, of its type."""
    return full(x.shape, number, dtype=dtype or x.dtype)


def new_full(x: Tensor, size: Sequence[int], number: float, *, dtype: torch.dtype | None = None, **_: object) -> Tensor:
    """The same in another shape, of the type of a tensor, unless told."""
    return full(size, number, dtype=dtype or x.dtype)
