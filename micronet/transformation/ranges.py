"""Where the binary point of a fixed-point tensor goes: three rules for the range of values it must cover.

An observer sees values as (groups, values per group), once for weights, batch by batch for activations, and gives one
exponent M per group: the grid covers [-2^M, 2^M).
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

SIGMAMAX_MOMENTUM = 0.01
"""Weight of a new batch in the running averages (SCORING section 6)."""


class Observer(Protocol):
    """Gathers what a rule needs to know of a tensor's values."""

    def see(self, values: Tensor) -> None:
        """Take in (groups, n) values, float32; `groups` is the same every time."""

    def exponents(self) -> list[int]:
        """M of each group."""


class SigmaMax:
    """M = ceil(log2(|m| + k*s + 1e-12)) of mean m and standard deviation s (SCORING section 6).

    The averages run over batches; the first batch sets them. A group of one value takes 1e-15*|m| for s.
    """

    def __init__(self, bits: int, stds: float) -> None:
        self._stds = stds
        self._mean: Tensor | None = None
        self._std = torch.empty(0)

    def see(self, values: Tensor) -> None:
        """Take in (groups, n) values."""
        mean, std = _mean_and_std(values)
        if self._mean is None:
            self._mean, self._std = mean, std
        else:
            self._mean = torch.lerp(self._mean, mean, SIGMAMAX_MOMENTUM)
            self._std = torch.lerp(self._std, std, SIGMAMAX_MOMENTUM)

    def exponents(self) -> list[int]:
        """M of each group."""
        assert self._mean is not None, "no values seen"
        return _covering(self._mean.abs() + self._stds * self._std + 1e-12)


class LargestMagnitude:
    """The smallest M that no value seen exceeds."""

    def __init__(self, bits: int, stds: float) -> None:
        self._largest: Tensor | None = None

    def see(self, values: Tensor) -> None:
        """Take in (groups, n) values."""
        largest = values.abs().amax(1).double()
        self._largest = largest if self._largest is None else torch.maximum(self._largest, largest)

    def exponents(self) -> list[int]:
        """M of each group."""
        assert self._largest is not None, "no values seen"
        return _covering(self._largest + 1e-12)


class LeastSquaredError:
    """The M whose grid rounds and clips the values seen with the least sum of squared errors.

    Tried are the range of the first values' largest magnitude, one larger, and six smaller.
    """

    def __init__(self, bits: int, stds: float) -> None:
        self._bits = bits
        self._top: Tensor | None = None
        self._errors = torch.empty(0)

    def see(self, values: Tensor) -> None:
        """Take in (groups, n) values."""
        if self._top is None:
            self._top = torch.tensor(_covering(values.abs().amax(1).double() + 1e-12)) + 1
            self._errors = torch.zeros(8, len(values), dtype=torch.float64)
        half = 2.0 ** (self._bits - 1)
        for smaller in range(8):
            steps = torch.ldexp(torch.ones(len(values)), self._top - smaller - (self._bits - 1)).view(-1, 1)
            rounded = (values / steps).clamp(-half, half - 1).round() * steps
            self._errors[smaller] += (values - rounded).double().square().sum(1)

    def exponents(self) -> list[int]:
        """M of each group."""
        assert self._top is not None, "no values seen"
        return [int(exponent) for exponent in self._top - self._errors.argmin(0)]


RANGE_RULES: Mapping[str, Callable[[int, float], Observer]] = {
    "sigmamax": SigmaMax,
    "max": LargestMagnitude,
    "mse": LeastSquaredError,
}


def _covering(magnitudes: Tensor) -> list[int]:
    """ceil(log2(magnitude)) of each."""
    return [int(exponent) for exponent in torch.log2(magnitudes).ceil()]


def _mean_and_std(values: Tensor) -> tuple[Tensor, Tensor]:
    """(groups,) each, float64, the deviation unbiased.

    From the sum and the sum of squares, two fast passes; what cancellation loses where |m| >> s does not matter to
    |m| + k*s.
    """
    count = values.shape[1]
    mean = values.mean(1).double()
    if count == 1:
        return mean, 1e-15 * mean.abs()
    squares = torch.linalg.vector_norm(values, dim=1).double().square()
    variance = ((squares - count * mean.square()) / (count - 1)).clamp(min=0)
    return mean, variance.sqrt()
