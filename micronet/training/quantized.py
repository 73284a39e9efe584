"""Quantization-aware training: weights that learn in floating point and are only ever seen on their grids."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from micronet.graph.grid import Grid, along_axis
from micronet.graph.ir import Graph
from micronet.training.network import TrainableNetwork


class OnGrid:
    """A view of a weight: the weight on its grid, with the straight-through estimator for a gradient.

    Rounding has slope 0 nearly everywhere; the estimator takes it for the identity (Bengio et al. 2013), and for 0
    where the weight rounds to something beyond an end of the grid, since moving it there changes nothing (Jacob et al.
    2018). That is the mask of torch's fake quantization, which activations go through.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._scaling: tuple[Tensor, Tensor] | None = None

    def __call__(self, weight: Tensor) -> Tensor:
        """The very values of `on_grid`."""
        if self._scaling is None or self._scaling[0].device != weight.device:
            steps, offsets = along_axis(weight, self._grid)
            self._scaling = steps.to(weight.device), offsets.to(weight.device)
        ends = self._grid.low, self._grid.high
        on_grid: Tensor = _StraightThrough.apply(weight, self._scaling, ends)  # type: ignore[no-untyped-call]
        return on_grid


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, scaling: tuple[Tensor, Tensor], ends: tuple[int, int]) -> Tensor:
        steps, offsets = scaling
        integers = (weight / steps + offsets).round()
        inside = integers.clamp(*ends)
        ctx.save_for_backward(integers == inside)
        return (inside - offsets) * steps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradients[0] * inside, None, None


def quantized_network(
    graph: Graph, latent: Mapping[str, Tensor], *, shakedrop: bool = True, hold_zeros: bool = True
) -> TrainableNetwork:
    """A network that learns on the grids of `graph`, starting from the weights `latent` in floating point.

    Every graph it gives has its weights on the grids, exactly, and starts as `graph` where that is `latent` rounded.
    Grids stay where they are throughout: so every epoch's graphs have the same ones, an average of weights too.
    """
    weights = {name: latent[name] if name in graph.formats else weight for name, weight in graph.weights.items()}
    views = {name: OnGrid(grid) for name, grid in graph.formats.items()}
    return TrainableNetwork(replace(graph, weights=weights), shakedrop=shakedrop, hold_zeros=hold_zeros, views=views)
