"""Where the binary point goes: the rules against hand arithmetic and against each other."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from micronet.errors import NumericalError
from micronet.graph.grid import fixed_point, on_grid
from micronet.transformation.quantization import Quantization
from micronet.transformation.quantize import fitted_grid
from micronet.transformation.ranges import RANGE_RULES, LargestMagnitude, LeastSquaredError, Observer, SigmaMax

values = st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=40).map(torch.tensor)
bits = st.integers(2, 16)


def _see(observer: Observer, *batches: Tensor) -> list[int]:
    for batch in batches:
        observer.take(observer.measure(batch))
    return observer.exponents()


def _error(weight: Tensor, how: Quantization, per_filter: bool = False) -> float:
    return float((weight - on_grid(weight, fitted_grid(weight, how, per_filter))).double().square().sum())


def test_sigmamax_by_hand() -> None:
    """1, 2, 3, 4: m = 2.5, s = sqrt(5/3) = 1.291. |m| + 10 s = 15.41, so M = 4; with k = 20 it is 28.3 and M = 5."""
    batch = torch.tensor([[1.0, 2, 3, 4]])
    assert _see(SigmaMax(9, 10), batch) == [4]
    assert _see(SigmaMax(9, 20), batch) == [5]
    assert _see(SigmaMax(9, 10), -batch) == [4]
    assert fitted_grid(batch, Quantization(9, 12), per_filter=False) == fixed_point(9, (9 - 1 - 4,))


def test_sigmamax_takes_running_averages_of_momentum_one_hundredth() -> None:
    """m: 0, then 0.99 * 0 + 0.01 * 400 = 4. s: sqrt(2) = 1.414, then 0.99 * 1.414 + 0.01 * 14.14 = 1.541.

    |m| + 10 s goes from 14.1 (M = 4) to 19.4 (M = 5). Another 14 batches take m to 55.9 and s to 3.2: 87.6, M = 7.
    """
    first, second = torch.tensor([[-1.0, 1]]), torch.tensor([[390.0, 410]])
    assert _see(SigmaMax(12, 10), first) == [4]
    assert _see(SigmaMax(12, 10), first, second) == [5]
    assert _see(SigmaMax(12, 10), first, *[second] * 15) == [7]
    m, s = 0.0, math.sqrt(2)
    for _ in range(15):
        m, s = 0.99 * m + 0.01 * 400, 0.99 * s + 0.01 * 10 * math.sqrt(2)
    assert 64 < m + 10 * s < 128


@pytest.mark.parametrize(("value", "exponent"), [(0.75, 0), (1.0, 1), (-3.0, 2), (0.0, -39)])
def test_one_element_has_next_to_no_deviation(value: float, exponent: int) -> None:
    """|m| + 1e-12: just above 1 needs M = 1, and of zero the 1e-12 remains, which is 2^-39.9."""
    assert _see(SigmaMax(8, 10), torch.tensor([[value]])) == [exponent]


@pytest.mark.parametrize(
    ("largest", "exponent"), [(1.0, 1), (-1.0, 1), (0.999, 0), (2.0**20, 21), (2.0**-6, -5), (1.5, 1), (0.0, -39)]
)
def test_the_largest_magnitude_lies_inside(largest: float, exponent: int) -> None:
    assert _see(LargestMagnitude(8, 0), torch.tensor([[0.0, largest]])) == [exponent]


@given(st.lists(values, min_size=1, max_size=4), bits)
def test_the_largest_magnitude_covers_all_batches(batches: list[Tensor], width: int) -> None:
    (exponent,) = _see(LargestMagnitude(width, 0), *(batch.view(1, -1) for batch in batches))
    grid = fixed_point(width, (width - 1 - exponent,))
    (step,) = grid.steps
    seen = torch.cat(batches)
    inside = seen <= grid.high * step  # the last half step below 2^M rounds up to it, which the grid lacks
    assert bool(((seen - on_grid(seen, grid)).abs() <= torch.where(inside, step / 2, step)).all())


@given(values, bits)
def test_least_squared_error_is_no_worse_than_the_range_of_the_largest(weight: Tensor, width: int) -> None:
    assert _error(weight, Quantization(width, 32, "mse")) <= _error(weight, Quantization(width, 32, "max"))


@given(values, bits)
def test_least_squared_error_is_the_least_of_all_candidates(weight: Tensor, width: int) -> None:
    (top,) = _see(LargestMagnitude(width, 0), weight.view(1, -1))
    (chosen,) = _see(LeastSquaredError(width, 0), weight.view(1, -1))
    errors = {
        m: float((weight - on_grid(weight, fixed_point(width, (width - 1 - m,)))).double().square().sum())
        for m in range(top - 6, top + 2)
    }
    assert errors[chosen] == pytest.approx(min(errors.values()), rel=1e-6, abs=1e-300)


@pytest.mark.parametrize("first", [0.0, 1e-3, 0.1, 1.0])
@pytest.mark.parametrize("width", [4, 8, 16])
def test_a_first_batch_that_is_not_typical_decides_nothing(first: float, width: int) -> None:
    """20 batches of a normal distribution, of which the first is that much smaller: the range of all at once."""
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(1, 500, generator=generator) * (1 if number else first) for number in range(20)]
    assert _see(LeastSquaredError(width, 0), *batches) == _see(LeastSquaredError(width, 0), torch.cat(batches, 1))


@given(st.lists(values, min_size=2, max_size=5), bits)
def test_the_range_of_the_largest_of_all_batches_is_among_the_candidates(batches: list[Tensor], width: int) -> None:
    """Values of 2^16 times the size, once: with nothing else to round, their own range is best, or the one below."""
    rare = torch.tensor([[65536.0 * 2**14]])
    (top,) = _see(LargestMagnitude(width, 0), rare)
    (chosen,) = _see(LeastSquaredError(width, 0), *(batch.view(1, -1) for batch in batches), rare)
    assert chosen in (top, top - 1)


def test_errors_of_larger_steps_by_hand() -> None:
    """4 bits. First 1 and 3, whose squares are 10. Eight exponents are tried, from M = 3, one larger than they need.

    Its steps of 1 lose nothing, which is odd: M = 4, steps of 2, makes 1 zero and 3 a 4 (halves go to the even one),
    and loses 2, where 2 x 2^2 / 12 = 0.67 is usual. Then 5 and 40, whose squares are 1,625. M = 6 has steps of 8: 5
    becomes 8, which loses 9. M = 5 has steps of 4 to 28: 1 + 12^2. M = 4, steps of 2 to 14: 1 + 26^2. With M = 6 the
    first ones lose all of 10, as 4^2 x 2 is more, and with M = 5 8: 19 is less than 153.
    """
    observer = LeastSquaredError(4, 0)
    first, second = torch.tensor([[1.0, 3]]), torch.tensor([[5.0, 40]])
    assert observer.measure(first)[:5].flatten().tolist() == pytest.approx([3, 8, 10, 2, 0])
    observer.take(observer.measure(first))
    assert observer.exponents() == [3]
    assert observer.measure(second)[:6].flatten().tolist() == pytest.approx([3, 11, 1625, 9, 145, 677])
    observer.take(observer.measure(second))
    assert observer.exponents() == [6]


def test_values_on_a_grid_of_their_own_cost_larger_steps_what_they_would() -> None:
    """8 bits. 40,000 multiples of 1/16 up to 1 lose nothing while steps are no larger; then comes one value of 100.

    M = 7 has steps of 1. Of each 33 values, k/16 for k from -16 to 16, those between lose 2 x 2 x (1^2 + ... + 7^2 and
    half of 8^2) / 16^2 = 344 x 2 / 256 = 2.69, or 3,258 in all. M = 6 has steps of 1/2 to 63.5: 88 x 2 / 256 = 0.69 of
    each 33, or 833, and 36.5^2 = 1,332 for the one.
    """
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randint(-16, 17, (1, 1000), generator=generator) / 16 for _ in range(40)]
    batches[1][0, 0] = 100
    assert _see(LeastSquaredError(8, 0), *batches) == [6]


def test_ones_and_zeros_lose_nothing_until_steps_are_larger() -> None:
    """They lie on the grid of M = 7 as well, whose steps are 1: nobody loses anything there, 100 neither."""
    ones = torch.tensor([[0.0, 1] * 500])
    assert _see(LeastSquaredError(8, 0), ones, ones, torch.tensor([[100.0]])) == [7]


@given(st.integers(0, 1000), st.integers(2, 9))
def test_per_filter_is_at_least_as_good_as_per_tensor(seed: int, width: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scales = torch.ldexp(torch.ones(6, 1), torch.randint(-6, 6, (6, 1), generator=generator))
    weight = torch.randn(6, 9, generator=generator) * scales
    how = Quantization(width, 32, "mse")
    assert _error(weight, how, per_filter=True) <= _error(weight, how) * (1 + 1e-6)


@given(st.lists(values, min_size=1, max_size=1), st.sampled_from(sorted(RANGE_RULES)))
def test_filters_do_not_mind_each_other(batches: list[Tensor], rule: str) -> None:
    row = batches[0]
    alone = _see(RANGE_RULES[rule](8, 10), row.view(1, -1))
    beside = _see(RANGE_RULES[rule](8, 10), torch.stack([row * 4096, row]))
    assert beside[1:] == alone


@pytest.mark.parametrize("rule", sorted(RANGE_RULES))
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_range_covers_what_is_not_finite(rule: str, value: float) -> None:
    with pytest.raises(NumericalError, match="NaN or infinite"):
        _see(RANGE_RULES[rule](8, 10), torch.tensor([[1.0, value]]))
