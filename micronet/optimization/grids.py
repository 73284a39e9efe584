"""Grids of values: the width is given, and place and sign follow from what calibration images show."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from micronet.graph.grid import Grid, on_grid

SAMPLE = 1 << 17
"""Values a grid is placed by, at most: evenly spread over images, channels and positions."""
NOTHING = 2.0**-40
"""A tensor, or a filter, that goes no farther from zero is one of zeros: in steps that tell its values from these, a
bias of ordinary size would be a number of 40 bits and more, and its sums none that anything adds exactly."""
_PLACES = 6
_TIMES = (1.0, 0.5, 0.25, 2.0)
"""Steps, over that of least squared error: clipping more is what helps, and by how much differs."""


def place_grid(values: Tensor, bits: int) -> Grid:
    """The power-of-two grid of `bits` bits, with a sign or without, of least squared error on `values`."""
    seen = sample(values)
    return min(candidate_grids(seen, bits), key=lambda grid: squared_error(seen, grid))


def around(grid: Grid) -> list[Grid]:
    """`grid`, and as wide ones with finer steps, which clip more, and with a coarser one."""
    return [replace(grid, steps=(grid.steps[0] * times,)) for times in _TIMES]


def squared_error(values: Tensor, grid: Grid) -> float:
    """Mean of squares of what rounding `values` to `grid` changes."""
    return float((on_grid(values, grid) - values).double().square().mean())


def candidate_grids(values: Tensor, bits: int) -> list[Grid]:
    """Grids that cover all of `values`, and such that clip more and more of them."""
    top = int(exponents_above(values.abs().max()))
    half, whole = 1 << (bits - 1), 1 << bits
    grids = [Grid(bits, -half, half - 1, (2.0 ** (top - less - bits + 1),), (0,)) for less in range(_PLACES)]
    if bool((values >= 0).any()):
        grids += [Grid(bits, 0, whole - 1, (2.0 ** (top - less - bits),), (0,)) for less in range(_PLACES)]
    return grids


def exponents_above(magnitudes: Tensor) -> Tensor:
    """int64: the smallest exponents whose power of two is above each of `magnitudes`; zeros, which lie on every grid,
    have that of 1."""
    return torch.frexp(torch.where(magnitudes > NOTHING, magnitudes, 1.0)).exponent.long()


def sample(values: Tensor) -> Tensor:
    """(n,): `values`, or every k-th of them where there are more than `SAMPLE`.

    k has no factor in common with any dimension, so that what is taken comes of every channel, row and column alike: a
    multiple of a row's length would see one column, the padding say, and nothing else.
    """
    flat = values.reshape(-1)
    stride = -(-len(flat) // SAMPLE)
    while math.gcd(stride, len(flat)) > 1:
        stride += 1
    return flat[::stride]
