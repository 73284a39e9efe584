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
    values, and no larger than the sum of its squares, as all of them become zero in the end. Values that lie on a grid
    themselves lose nothing at first; these are measured with larger steps until they lose what others would.
    """

    def __init__(self, bits: int, stds: float) -> None:
        self._bits = bits
        self._tried = 0
        self._first: Tensor | None = None
        self._errors = torch.zeros(0)
        self._squares = torch.zeros(0)

    def measure(self, values: Tensor) -> Tensor:
        """Three rows: the largest exponent of the first values to try, how many there are to try, and the squares; then
        the squared error of each exponent.

        The last of them are those to try. Before them come larger ones, as long as the errors are no measure of what
        even larger ones would cost.
        """
        largest = values.abs().amax(1)
        own = torch.tensor(_above(largest))
        first = own + 1 if self._first is None else self._first
        tried = _CANDIDATES + max(0, int((own - first).max()))
        top = first + tried - _CANDIDATES
        errors = [self._error(values, top - smaller) for smaller in range(tried)]
        while bool(self._is_odd(values, largest, top, errors[0]).any()):
            top = top + 1
            errors.insert(0, self._error(values, top))
        squares = torch.linalg.vector_norm(values, dim=1).double().square()
        return torch.stack([first.double(), torch.full_like(squares, tried), squares, *errors])

    def take(self, measurements: Tensor) -> None:
        """Add up the errors."""
        first, tried, squares, errors = measurements[0], measurements[1], measurements[2], measurements[3:]
        self._tried = max(self._tried, int(tried[0]))
        if self._first is None:
            self._first, self._squares, self._errors = first.long(), squares, errors
            return
        longest = max(len(errors), len(self._errors))
        self._errors = _upwards(self._errors, self._squares, longest) + _upwards(errors, squares, longest)
        self._squares = self._squares + squares

    def exponents(self) -> list[int]:
        """M of each group."""
        assert self._first is not None, "no values seen"
        top = self._first + self._tried - _CANDIDATES
        return [int(exponent) for exponent in top - self._errors[-self._tried :].argmin(0)]

    def _steps(self, exponents: Tensor) -> Tensor:
        return torch.ldexp(torch.ones(len(exponents)), exponents - (self._bits - 1))

    def _error(self, values: Tensor, exponents: Tensor) -> Tensor:
        """(groups,) float64: the sum of squared errors of the grids of `exponents`."""
        half, steps = 2.0 ** (self._bits - 1), self._steps(exponents).view(-1, 1)
        rounded = (values / steps).clamp(-half, half - 1).round() * steps
        return (values - rounded).double().square().sum(1)

    def _is_odd(self, values: Tensor, largest: Tensor, exponents: Tensor, errors: Tensor) -> Tensor:
        """(groups,) whether errors are so small that values lie on the grid, short of a step that makes all zero.

        n values that lie anywhere between points lose n step^2/12 when rounded; less than a quarter of it is odd. Zeros
        lie on every grid and are not among the n; most tensors need none counted.
        """
        steps = self._steps(exponents).double()
        fair = steps.square() / 48
        odd = (errors < values.shape[1] * fair) & (steps < 2 * largest)
        return odd & (errors < values.count_nonzero(1) * fair) if bool(odd.any()) else odd


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
