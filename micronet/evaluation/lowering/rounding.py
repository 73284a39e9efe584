"""Onto a fixed-point grid, and through a ReLU that follows: clip and round."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from micronet.analysis.shapes import first_ref
from micronet.analysis.widths import activation_grid
from micronet.evaluation.kernels import clip_ends, round_to_grid_, rounding_constant
from micronet.evaluation.lowering.workspace import Workspace
from micronet.graph.grid import Grid
from micronet.graph.ir import Node

aten = torch.ops.aten


def exact_rounding(node: Node) -> tuple[Grid | None, float | None]:
    """The grid of a per-tensor quantizer, and the constant that rounds to it where that is exact."""
    grid = activation_grid(node)
    return grid, None if grid is None else rounding_constant(grid)


def rounding(space: Workspace, node: Node) -> bool:
    """Clip, unless no value can lie outside, and round: float32 values, whose last bit the constant is made for."""
    grid, constant = exact_rounding(node)
    if grid is None or constant is None or (source := first_ref(node)) in space.shapes.wide:
        return False
    last, (low, high) = node, clip_ends(grid)
    relu = space.only_user(node)
    if relu is not None and relu.target is aten.relu.default:
        space.done.add(relu.name)
        last, low, high = relu, max(low, 0.0), max(high, 0.0)
    smallest, largest = space.bounds.get(source, (-math.inf, math.inf))
    inside = low <= smallest and largest <= high
    space.emit(_kernel(low, high, constant, inside, space.may_overwrite(source)), node.args[:1], last.name)
    return True


def _kernel(low: float, high: float, constant: float, inside: bool, overwrite: bool) -> Callable[[Tensor], Tensor]:
    if inside:
        if overwrite:
            return lambda x: round_to_grid_(x, constant)
        return lambda x: x.add(constant).sub_(constant)
    if overwrite:
        return lambda x: round_to_grid_(x.clamp_(low, high), constant)
    return lambda x: round_to_grid_(x.clamp(low, high), constant)
