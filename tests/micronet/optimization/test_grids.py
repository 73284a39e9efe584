"""Grids are placed by values from everywhere in a tensor."""

import pytest
import torch
from torch.nn.functional import pad

from micronet.optimization import grids
from micronet.optimization.grids import exponents_above, place_grid, sample, squared_error


@pytest.mark.parametrize("shape", [(64, 12, 17, 17), (64, 12, 16, 16), (32, 30, 15, 15), (50, 7, 8, 8), (600, 289)])
def test_every_column_and_row_is_visited(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 64 x 12 x 17 x 17 values every 867th is in the first column."""
    monkeypatch.setattr(grids, "SAMPLE", 256)
    for axis in range(len(shape) - min(2, len(shape) - 1), len(shape)):
        index = torch.arange(shape[axis]).view(-1, *[1] * (len(shape) - 1 - axis)).expand(shape)
        assert len(sample(index).unique()) >= min(shape[axis], 128)


def test_few_values_are_all_taken() -> None:
    values = torch.randn(3, 4, 5)
    assert torch.equal(sample(values), values.flatten())


def test_a_padded_value_has_the_grid_of_what_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = torch.randn(64, 12, 15, 15, generator=torch.Generator().manual_seed(0))
    wanted = place_grid(inside, 8)
    monkeypatch.setattr(grids, "SAMPLE", 256)
    values = pad(inside, (1, 1, 1, 1))
    assert squared_error(inside, place_grid(values, 8)) <= 4 * squared_error(inside, wanted)


@pytest.mark.parametrize("magnitude", [0.0, 1e-20, 2.0**-40])
def test_zeros_have_the_grid_of_ones(magnitude: float) -> None:
    values = torch.full((4, 5), magnitude)
    assert place_grid(values, 8) == place_grid(torch.zeros(4, 5), 8)
    assert place_grid(values, 8).steps == (2**-6,)
    assert place_grid(torch.full((4, 5), 2.0**-39), 8).steps[0] < 2**-40


def test_an_exponent_is_the_smallest_above_and_that_of_zeros_is_that_of_one() -> None:
    magnitudes = torch.tensor([0.75, 1.0, 1.5, 0.0, 3e38, 1e-12])
    assert exponents_above(magnitudes).tolist() == [0, 1, 1, 1, 128, -39]
