"""A quantized tensor as a file stores it: integers, scales and, where the integer type says too much, a width."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from micronet.errors import NotWritable
from micronet.graph.grid import Grid
from micronet.onnx_reader.kinds import integers_of

_TYPES: tuple[tuple[type[np.generic], int, bool], ...] = (
    (np.int8, 8, True),
    (np.uint8, 8, False),
    (np.int16, 16, True),
    (np.uint16, 16, False),
    (np.int32, 32, True),
)
"""Integer types, their bits, and whether they have a sign; the first that holds a grid is taken."""


@dataclass(frozen=True, slots=True)
class Stored:
    """(integers - zero point) * scale is the tensor, in float32 and to the bit.

    declared      width of the integers, None where it is that of their type
    scales        () or (n,), float32
    zero_points   of the type of the integers and the shape of the scales, None where all are 0
    """

    integers: np.ndarray
    declared: int | None
    scales: np.ndarray
    zero_points: np.ndarray | None


def integer_type(low: int, high: int) -> tuple[type[np.generic], int]:
    """The narrowest integer type of 8, 16 or 32 bits that holds `low` to `high`, and its bits. Raises NotWritable."""
    for kind, bits, signed in _TYPES:
        least, most = integers_of(bits, signed)
        if signed == (low < 0) and least <= low and high <= most:
            return kind, bits
    raise NotWritable(f"no integer type of ONNX holds {low} to {high}.")


def stored(name: str, weight: Tensor, grid: Grid) -> Stored:
    """`weight`, which lies on `grid`, as integers. Raises NotWritable where they would not give it back exactly."""
    kind, type_bits = integer_type(grid.low, grid.high)
    shape = [-1 if axis == grid.axis else 1 for axis in range(weight.dim())] if grid.axis is not None else []
    steps = torch.tensor(grid.steps, dtype=torch.float32).reshape(shape)
    zeros = torch.tensor(grid.zero_points, dtype=torch.int64).reshape(shape)
    low, high = integers_of(grid.bits, signed=grid.low < 0)
    integers = (_multiples(weight, steps).long() + zeros).clamp(max(low, grid.low), min(high, grid.high))
    if not torch.equal((integers - zeros).float() * steps, weight):
        raise NotWritable(f"weight {name!r} does not lie on its grid of {grid.bits} bits.")
    return Stored(
        integers.numpy().astype(kind),
        None if grid.bits == type_bits else grid.bits,
        steps.reshape(-1 if grid.axis is not None else ()).numpy(),
        zeros.reshape(-1 if grid.axis is not None else ()).numpy().astype(kind) if any(grid.zero_points) else None,
    )


def _multiples(values: Tensor, steps: Tensor) -> Tensor:
    """The whole number of float32 that times `steps` is each value to the bit, where there is one.

    A product of more than 23 bits (biases beside activations of 16) was rounded, by half of its last place at most, so
    the quotient is off by as much: the number is that nearest to it, or a neighbour.
    """
    nearest = (values.double() / steps.double()).round().float()
    found = nearest
    for end in (-torch.inf, torch.inf):
        neighbour = torch.nextafter(nearest, torch.tensor(end))
        found = found.where(found * steps == values, neighbour)
    return found.where(found * steps == values, nearest)
