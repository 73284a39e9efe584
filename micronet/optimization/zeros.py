"""Which weights go, and what the others become: least squares on what is left (optimal brain surgery)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.optimization.moments import Moments

SHARES = (1.0, 0.96, 0.92, 0.87, 0.81, 0.74, 0.65)
"""Of a layer's weights that are not zero, how many may stay."""
_ROWS = 64
"""Filters whose forms are solved at a time."""


@dataclass(frozen=True, slots=True)
class Support:
    """Which weights of a layer stay, and what they then are.

    there  (filters, terms) bool: where they may be other than zero
    rows   (filters, terms) float64: the best ones there
    """

    there: Tensor
    rows: Tensor


def supports(rows: Tensor, seen: Moments, sensitivity: Tensor, shares: Sequence[float] = SHARES) -> list[Support]:
    """One for each of `shares`, from all weights to few, each part of the one before it.

    Removing weight w moves the output by w^2 / [H^-1]_ww when the others are free to make up for it (Hassibi and Stork
    1993); those go first for which this, times the `sensitivity` (filters,) of the filter's output, is least.
    """
    there = rows != 0
    start = int(there.sum())
    left, saliency = _left(rows, there, seen)
    found = [Support(there, left)]
    for share in shares[1:]:
        weighed = torch.where(there, saliency * sensitivity.unsqueeze(1), -1.0)
        stays = torch.zeros(rows.numel(), dtype=torch.bool)
        order = weighed.flatten().sort(descending=True, stable=True).indices
        stays[order[: max(1, round(share * start))]] = True
        there = there & stays.view_as(there)
        left, saliency = _left(rows, there, seen)
        found.append(Support(there, left))
    return found


def _left(rows: Tensor, there: Tensor, seen: Moments) -> tuple[Tensor, Tensor]:
    """The best weights `there`, and w^2 / [H^-1]_ww of each. Factors of all supports at once would be gigabytes."""
    left, factors = solved(rows, there, seen)
    return left, left.square() / factors.square().sum(1)


def solved(rows: Tensor, there: Tensor, seen: Moments) -> tuple[Tensor, Tensor]:
    """Weights (filters, terms) that give the wanted outputs best where `there`, zeros elsewhere, and factors.

    min |w X - Y|^2 + damping |w - rows|^2 for each filter on its own support: with H the damped moments,
    w = (cross + damping rows) H^-1. The factors (filters, terms, terms) are upper Cholesky factors of H^-1, which
    rounding needs.
    """
    damped = seen.damped()
    extra = (damped - seen.inputs).diagonal(dim1=1, dim2=2)
    right = torch.where(there, seen.cross + seen.per_row(extra) * rows, 0.0)
    group = torch.arange(len(damped)).repeat_interleave(len(rows) // len(damped))
    weights, factors = [], []
    for some in torch.split(torch.arange(len(rows)), _ROWS):
        lower = torch.linalg.cholesky(_supported(damped[group[some]], there[some]))
        inverse = torch.cholesky_inverse(lower)
        weights.append((inverse @ right[some].unsqueeze(2)).squeeze(2))
        factors.append(torch.linalg.cholesky(inverse, upper=True))
    return torch.where(there, torch.cat(weights), 0.0), torch.cat(factors)


def _supported(forms: Tensor, there: Tensor) -> Tensor:
    """Forms (filters, terms, terms) on each filter's support, and the identity off it."""
    both = there.unsqueeze(2) & there.unsqueeze(1)
    return torch.where(both, forms, torch.diag_embed((~there).to(forms.dtype)))
