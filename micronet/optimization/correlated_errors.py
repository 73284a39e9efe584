"""How much farther errors of weights move the logits than independent errors of outputs would.

A weight's error is the same at every position, and filters that are read together err together where they read the
same. How much that matters differs from layer to layer, by a factor of six in KAIST's pr45, and what is taken for
independent would put zeros and coarse grids into the wrong layers. So some changes of a layer's weights are tried, to
first order, and what they do is held against what is foreseen of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from micronet.optimization.fitted_rounding import RoundingProblem, nearest_placed, round_rows
from micronet.optimization.moments import Moments
from micronet.optimization.quantizable_layers import QuantizableLayer
from micronet.optimization.zeros import Support, solved

BITS = (4, 5, 6)
"""Of the weights, at which rounding is tried, without the sweeps that would take most of the time; what comes of it is
taken to hold for all widths and supports."""


@dataclass(frozen=True, slots=True)
class ErrorRatios:
    """Squared changes of the logits, over what is foreseen of them if all errors of outputs are independent.

    removed  by removing weights
    nearest  of what is foreseen of nearest rounding, what fitted rounding does in its place
    fitted   by fitted rounding, over what is foreseen of it
    """

    removed: float
    nearest: float
    fitted: float


@dataclass(frozen=True, slots=True)
class Perturbations:
    """Changes of a layer's weights (filters, terms), and what is foreseen of each.

    removed  by removing weights; none where none may be removed
    fitted   by fitted rounding, and nearest: what is foreseen of nearest rounding to as many bits
    """

    removed: Sequence[tuple[Tensor, float]]
    fitted: Sequence[tuple[Tensor, float]]
    nearest: Sequence[float]

    @property
    def changes(self) -> list[Tensor]:
        """All of them, in the order in which `ratios` is told what they do."""
        return [change for change, _ in (*self.removed, *self.fitted)]

    def ratios(self, moved: Sequence[float]) -> ErrorRatios:
        """By what the changes do, the squared change of the logits of each."""
        removed, fitted = moved[: len(self.removed)], moved[len(self.removed) :]
        return ErrorRatios(
            _ratio(removed, [foreseen for _, foreseen in self.removed]),
            _ratio(fitted, self.nearest),
            _ratio(fitted, [foreseen for _, foreseen in self.fitted]),
        )


def perturbations(
    layer: QuantizableLayer, seen: Moments, supports: Sequence[Support], sensitivity: Tensor
) -> Perturbations:
    """Of weights on `supports`, from all of them to few, where errors of each filter's outputs (filters,) move the
    logits by `sensitivity`."""
    rows, there = supports[0].rows, supports[0].there
    problem = RoundingProblem(rows, seen.inputs, solved(rows, there, seen)[1])
    weights = layer.positions * sensitivity

    def foreseen(errors: Tensor) -> float:
        return float((weights * errors).sum())

    removed = [one.rows - rows for one in supports[1:]]
    fitted = [round_rows(problem, bits, sweeps=0) for bits in BITS]
    return Perturbations(
        removed=[(change, foreseen(seen.error(change))) for change in removed],
        fitted=[(one.rows - rows, foreseen(one.error)) for one in fitted],
        nearest=[foreseen(nearest_placed(rows, seen.inputs, bits).error) for bits in BITS],
    )


def _ratio(moved: Sequence[float], foreseen: Sequence[float]) -> float:
    """Mean over changes, each of which counts the same; 1 where nothing is foreseen of any."""
    least = _ROUNDING * max(foreseen, default=0.0)
    ratios = [ours / theirs for ours, theirs in zip(moved, foreseen, strict=True) if theirs > least]
    return sum(ratios) / len(ratios) if ratios else 1.0


_ROUNDING = 1e-6
"""Of the largest error that is foreseen: what is less may be nothing but float32's own."""
