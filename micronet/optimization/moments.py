"""What a layer's error depends on: second moments of its inputs, and of inputs with wanted outputs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.optimization.quantizable_layers import QuantizableLayer

DAMPING = 0.1
"""Of the mean of the diagonal, added to it. Positions of one image are much alike, so that what looks like many samples
is few; on KAIST's entry, 0.01 and 1 are both worse for other images than those calibrated on."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the columns x (groups, terms, n) of a layer and its wanted outputs y; with a bias, about their means.

    inputs   (groups, terms, terms) float64: mean of x x^T
    cross    (filters, terms) float64: mean of y x^T
    x_mean   (groups, terms), y_mean (filters,); zeros where the layer has no bias, which takes means up for free
    """

    inputs: Tensor
    cross: Tensor
    x_mean: Tensor
    y_mean: Tensor

    def per_row(self, terms: Tensor) -> Tensor:
        """`terms` of every group, (groups, ...), repeated for each filter, (filters, ...)."""
        return terms.repeat_interleave(len(self.cross) // len(self.inputs), 0)

    def damped(self) -> Tensor:
        """`inputs` with `DAMPING`: the form whose inverse is used."""
        diagonal = self.inputs.diagonal(dim1=1, dim2=2)
        wanted = DAMPING * diagonal.mean(1, keepdim=True)
        least = _ROUNDING * (1 + self.x_mean.square().amax(1, keepdim=True))  # where inputs hardly differ
        return self.inputs + torch.diag_embed(torch.maximum(wanted, least).expand_as(diagonal))

    def bias(self, rows: Tensor) -> Tensor:
        """(filters,): what makes the mean output of `rows` (filters, terms) the wanted one."""
        return self.y_mean - (rows.double() * self.per_row(self.x_mean)).sum(1)

    def error(self, change: Tensor) -> Tensor:
        """(filters,): mean square of what `change` (filters, terms) of the weights does to each output."""
        return quadratic(change.double(), self.inputs)


def moments(layer: QuantizableLayer, values: Tensor, outputs: Tensor) -> Moments:
    """Of the inputs `values` (N, C, ...) that the layer is given and the outputs (N, filters, ...) it should give."""
    filters, biased = len(layer.linear.weight), layer.linear.bias is not None
    sums: list[Tensor] = []
    count = 0
    origins: tuple[Tensor, Tensor] | None = None  # what values are taken from: squares of large numbers would cancel
    chunk = max(1, _COLUMNS // (layer.groups * layer.rows.shape[1] * layer.positions))
    for some, wanted in zip(torch.split(values, chunk), torch.split(outputs, chunk), strict=True):
        x, y = layer.columns(some), layer.outputs(wanted)
        if biased:
            origins = (x.mean(2, keepdim=True), y.mean(2, keepdim=True)) if origins is None else origins
            x, y = x - origins[0], y - origins[1]
        transposed = x.transpose(1, 2)
        parts = [(x @ transposed).double(), (y @ transposed).double(), x.sum(2).double(), y.sum(2).double()]
        sums = parts if not sums else [one + more for one, more in zip(sums, parts, strict=True)]
        count += x.shape[2]
    inputs, cross, x_mean, y_mean = (part / count for part in sums)
    if biased:
        inputs = inputs - x_mean.unsqueeze(2) * x_mean.unsqueeze(1)
        cross = cross - y_mean.unsqueeze(2) * x_mean.unsqueeze(1)
        assert origins is not None
        x_mean, y_mean = x_mean + origins[0].squeeze(2), y_mean + origins[1].squeeze(2)
    else:
        x_mean, y_mean = torch.zeros_like(x_mean), torch.zeros_like(y_mean)
    return Moments(inputs, cross.reshape(filters, -1), x_mean, y_mean.reshape(filters))


def quadratic(change: Tensor, inputs: Tensor) -> Tensor:
    """(..., filters): d H d^T of each row of `change` (..., filters, terms), with the form of its group."""
    grouped = by_group(change, inputs)
    return (grouped @ inputs).mul_(grouped).sum(-1).flatten(-2)


def by_group(rows: Tensor, inputs: Tensor) -> Tensor:
    """`rows` (..., filters, terms) as (..., groups, filters of each, terms), as `inputs` (groups, terms, terms) are."""
    return rows.reshape(*rows.shape[:-2], len(inputs), -1, rows.shape[-1])


_ROUNDING = 1e-12
"""Of a mean's square, and at least of 1: far more than float32 leaves of a second moment that is none."""
_COLUMNS = 1 << 21
"""Elements of columns that are laid out at a time: more than the caches hold take several times as long."""
