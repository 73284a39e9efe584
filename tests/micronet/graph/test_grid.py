"""The values of a grid, and that rounding gives these and none other."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from micronet.graph.grid import Grid, fixed_point, on_grid


@pytest.mark.parametrize(
    ("grid", "exact"),
    [
        (fixed_point(9, (7,)), True),
        (fixed_point(9, (7, -3), axis=0), True),
        (Grid(8, -128, 127, (0.1,), (0,)), False),
        (Grid(8, 0, 255, (0.5,), (128,)), False),
    ],
)
def test_fixed_point_has_steps_that_are_powers_of_two_and_no_offset(grid: Grid, exact: bool) -> None:
    assert grid.is_fixed_point is exact


def test_fixed_point_is_twos_complement() -> None:
    grid = fixed_point(9, (7,))
    assert (grid.low, grid.high, grid.steps) == (-256, 255, (1 / 128,))


@given(st.lists(st.floats(-300, 300, width=32), min_size=1, max_size=50), st.integers(2, 16), st.integers(-4, 12))
def test_rounding_is_to_the_grid_half_to_even_and_idempotent(numbers: list[float], bits: int, point: int) -> None:
    grid, values = fixed_point(bits, (point,)), torch.tensor(numbers)
    (step,) = grid.steps
    rounded = on_grid(values, grid)
    integers = rounded.double() / step
    assert torch.equal(integers, integers.round())
    assert grid.low <= float(integers.min()) <= float(integers.max()) <= grid.high
    inside = (values >= grid.low * step) & (values <= grid.high * step)
    assert bool(((values - rounded).abs()[inside] <= step / 2).all())
    assert torch.equal(on_grid(rounded, grid), rounded)
    assert torch.equal(rounded, torch.fake_quantize_per_tensor_affine(values, step, 0, grid.low, grid.high))


def test_rounding_by_hand() -> None:
    """Four bits, one behind the point: -4 to 3.5 in halves. Quarters are ties and go to the even number of halves."""
    values = torch.tensor([0.25, 0.75, -0.25, 1.1, 3.6, 9, -4.1, -9])
    assert on_grid(values, fixed_point(4, (1,))).tolist() == [0, 1, 0, 1, 3.5, 3.5, -4, -4]


def test_an_affine_grid_by_hand() -> None:
    """(x / 0.5 + 3) rounded and clipped to 0..7, back again: -1.5 to 2."""
    grid = Grid(3, 0, 7, (0.5,), (3,))
    assert on_grid(torch.tensor([-9.0, -1.4, 0, 0.6, 9]), grid).tolist() == [-1.5, -1.5, 0, 0.5, 2]
