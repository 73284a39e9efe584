"""Where the binary point of a fixed-point tensor goes: three rules for the range of values it must cover.

An observer sees values as (groups, values per group), once for weights, batch by batch for activations, and gives one
exponent M per group: the grid covers [-2^M, 2^M).
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from micronet.errors import NumericalError

SIGMAMAX_MOMENTUM = 0.01
"""Weight of a new batch in the running averages (SCORING section 6)."""
_CANDIDATES = 8


class Watcher(Protocol):
    """Gathers facts of a tensor's values.

    `measure` reads a batch and changes nothing, so that batches can be measured side by side, once the first one has
    been taken in; `take` takes measurements in, in the order of the batches.
    """

    def measure(self, values: Tensor) -> Tensor:
        """Measurements of (groups, n) values, float32; `groups` is the same every time."""

    def take(self, measurements: Tensor) -> None:
        """Take in what `measure` gave."""


class Observer(Watcher, Protocol):
    """Gathers what a rule needs to know to place a grid."""

    def exponents(self) -> list[int]:
        """M of each group."""


class SigmaMax:
    """M = ceil(log2(|m| + k*s + 1e-12)) of mean m and standard deviation s (SCORING section 6).

    The averages run over batches; the first batch sets them. A group of one value takes 1e-15*|m| for s.
    """

    def __init__(self, bits: int, stds: float) -> None:
        self._stds = stds
        self._averages: Tensor | None = None

    def measure(self, values: Tensor) -> Tensor:
        """Mean and standard deviation."""
        return torch.stack(_mean_and_std(values))

    def take(self, measurements: Tensor) -> None:
        """Move the running averages."""
        before = self._averages
        self._averages = measurements if before is None else torch.lerp(before, measurements, SIGMAMAX_MOMENTUM)

    def exponents(self) -> list[int]:
        """M of each group."""
        assert self._averages is not None, "no values seen"
        mean, std = self._averages
        return _covering(mean.abs() + self._stds * std + 1e-12)


class LargestMagnitude:
    """The smallest M whose 2^M no value seen reaches."""

    def __init__(self, bits: int, stds: float) -> None:
        self._largest: Tensor | None = None

    def measure(self, values: Tensor) -> Tensor:
        """Largest magnitude."""
        return values.abs().amax(1, keepdim=True).t().double()

    def take(self, measurements: Tensor) -> None:
        """Keep the larger."""
        self._largest = measurements if self._largest is None else torch.maximum(self._largest, measurements)

    def exponents(self) -> list[int]:
        """M of each group."""
        assert self._largest is not None, "no values seen"
        return _above(self._largest[0])


class LeastSquaredError:
    """The M whose grid rounds and clips the values seen with the least sum of squared errors.

    Tried are the range of the first values' largest magnitude, one larger, six smaller, and all above up to the range
    of the largest magnitude of all. Whoever had no value up there is not asked again what these larger steps would cost
    it: its squared error is four times as large with a step twice as large, as it is where steps are small beside
    values, and no larger than the sum of its squares, as all of them become zero in the end.
    """

    def __init__(self, bits: int, stds: float) -> None:
        self._bits = bits
        self._first: Tensor | None = None
        self._errors = torch.zeros(0)
        self._squares = torch.zeros(0)

    def measure(self, values: Tensor) -> Tensor:
        """Two rows: the largest exponent of the first values to try, and the squares; then the squared error of each.

        The first of them is that of the largest exponent there is any need to try for these values.
        """
        own = torch.tensor(_above(values.abs().amax(1)))
        first = own + 1 if self._first is None else self._first
        higher = max(0, int((own - first).max()))
        half = 2.0 ** (self._bits - 1)
        errors = []
        for smaller in range(-higher, _CANDIDATES):
            steps = torch.ldexp(torch.ones(len(values)), first - smaller - (self._bits - 1)).view(-1, 1)
            rounded = (values / steps).clamp(-half, half - 1).round() * steps
            errors.append((values - rounded).double().square().sum(1))
        squares = torch.linalg.vector_norm(values, dim=1).double().square()
        return torch.stack([first.double(), squares, *errors])

    def take(self, measurements: Tensor) -> None:
        """Add up the errors."""
        squares, errors = measurements[1], measurements[2:]
        if self._first is None:
            self._first, self._squares, self._errors = measurements[0].long(), squares, errors
            return
        longest = max(len(errors), len(self._errors))
        self._errors = _upwards(self._errors, self._squares, longest) + _upwards(errors, squares, longest)
        self._squares = self._squares + squares

    def exponents(self) -> list[int]:
        """M of each group."""
        assert self._first is not None, "no values seen"
        top = self._first + len(self._errors) - _CANDIDATES
        return [int(exponent) for exponent in top - self._errors.argmin(0)]


def _upwards(errors: Tensor, squares: Tensor, count: int) -> Tensor:
    """`errors` (exponents, groups) with what steps twice, four times, ... as large would make of them, before them."""
    more = [torch.minimum(errors[0] * 4.0**doubled, squares) for doubled in range(count - len(errors), 0, -1)]
    return torch.cat([torch.stack(more), errors]) if more else errors


RANGE_RULES: Mapping[str, Callable[[int, float], Observer]] = {
    "sigmamax": SigmaMax,
    "max": LargestMagnitude,
    "mse": LeastSquaredError,
}


def _covering(magnitudes: Tensor) -> list[int]:
    """ceil(log2(magnitude)) of each."""
    return [int(exponent) for exponent in torch.log2(_finite(magnitudes)).ceil()]


def _above(magnitudes: Tensor) -> list[int]:
    """The smallest M with magnitude < 2^M, exactly; a grid's upper end is short of 2^M. Zero counts as 1e-12."""
    return [int(exponent) for exponent in torch.frexp(_finite(magnitudes).double().clamp(min=1e-12)).exponent]


def _finite(magnitudes: Tensor) -> Tensor:
    if not bool(torch.isfinite(magnitudes).all()):
        raise NumericalError("values to quantize are NaN or infinite, so no range covers them. Check the weights.")
    return magnitudes


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
