"""Errors of rounding, by hand and against the definition."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from micronet.graph.grid import fixed_point, on_grid
from micronet.transformation.rounding_errors import ErrorObserver, rounding_error


def test_by_hand() -> None:
    """Three bits, one behind the point: -2 to 1.5 in halves. 1.7 rounds to 1.5 inside; 1.8 and -3 lie beyond."""
    error = rounding_error(torch.tensor([0.25, 1.7, 1.8, -3.0]), fixed_point(3, (1,)))
    assert (error.values, error.clipped) == (4, 2)
    assert error.squared_error == pytest.approx(0.25**2 + 0.2**2 + 0.3**2 + 1)
    assert error.squares == pytest.approx(0.25**2 + 1.7**2 + 1.8**2 + 9)
    assert error.relative == error.squared_error / error.squares


def test_zeros_have_no_error() -> None:
    assert rounding_error(torch.zeros(5), fixed_point(3, (1,))).relative == 0


def test_each_filter_has_its_own_ends() -> None:
    """Ends 1.5 and 6: of two rows of 5, the first one is clipped."""
    values = torch.full((2, 3), 5.0)
    error = rounding_error(values, fixed_point(3, (1, -1), axis=0))
    assert error.clipped == 3
    assert error.squared_error == pytest.approx(3 * 3.5**2 + 3 * 1)  # 5 / 2 is rounded half to even


@given(st.lists(st.floats(-100, 100, width=32), min_size=4, max_size=40), st.integers(2, 9), st.integers(-2, 6))
def test_batches_add_up(numbers: list[float], bits: int, point: int) -> None:
    grid, values = fixed_point(bits, (point,)), torch.tensor(numbers)
    observer = ErrorObserver(grid)
    for part in values.split(3):
        observer.take(observer.measure(part.view(1, -1)))
    error, whole = observer.error(), rounding_error(values, grid)
    assert (error.values, error.clipped) == (whole.values, whole.clipped)
    assert error.squared_error == pytest.approx(float((values - on_grid(values, grid)).double().square().sum()))
    low, high = (grid.low - 0.5) * grid.steps[0], (grid.high + 0.5) * grid.steps[0]
    assert error.clipped <= int(((values <= low) | (values >= high)).sum())
    assert error.clipped >= int(((values < low) | (values > high)).sum())
