"""Convolutions with constant weights, and what follows each alone: rounding, an activation function."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from micronet.analysis.shapes import first_ref
from micronet.evaluation.kernels import (
    NO_EPILOGUE,
    Epilogue,
    clip_ends,
    fused_convolution,
    pointwise_convolution,
    round_to_grid_,
)
from micronet.evaluation.lowering.rounding import exact_rounding
from micronet.evaluation.lowering.workspace import Workspace
from micronet.graph.geometry import geometry
from micronet.graph.ir import Node, Target

aten = torch.ops.aten

SMALL_IMAGE = 64
"""Pixels up to which a 1x1 convolution is run as a matrix product."""

_EPILOGUES: Mapping[Target, Epilogue] = {
    aten.relu.default: Epilogue("relu"),
    aten.sigmoid.default: Epilogue("sigmoid"),
    aten.tanh.default: Epilogue("tanh"),
    aten.silu.default: Epilogue("swish"),
    aten.hardswish.default: Epilogue("hardswish"),
    aten.hardsigmoid.default: Epilogue("hardsigmoid"),
}


def convolution(space: Workspace, node: Node) -> bool:
    """One call for a 2-d convolution and its epilogue."""
    if node.target is not aten.conv2d.default:
        return False
    weight, bias = space.graph.weight(node.args[1]), space.graph.weight(node.argument(2))
    if weight is None or weight.dtype != torch.float32 or (bias is None and node.argument(2) is not None):
        return False
    how = geometry(node, 2)
    size = (space.batch, *space.shapes[first_ref(node)][1:])
    by_pixel = weight.shape[2:] == how.stride == (1, 1) and how.groups == 1 and not any(how.padding)
    if by_pixel and size[2] * size[3] <= SMALL_IMAGE:
        space.emit(pointwise_convolution(weight, bias), node.args[:1], node.name)
        return True
    last, epilogue, constant = _epilogue(space, node)
    kernel = fused_convolution(weight, bias, how, epilogue, size)

    def rounded(x: Tensor) -> Tensor:
        return round_to_grid_(kernel(x), cast(float, constant))

    space.emit(kernel if constant is None else rounded, node.args[:1], last.name)
    return True


def _epilogue(space: Workspace, node: Node) -> tuple[Node, Epilogue, float | None]:
    """The last node merged into the convolution `node`, its epilogue, and the constant that rounds the result."""
    follower = space.only_user(node)
    if follower is None:
        return node, NO_EPILOGUE, None
    if follower.target in _EPILOGUES and len(follower.args) == 1:
        space.done.add(follower.name)
        return follower, _EPILOGUES[follower.target], None
    grid, constant = exact_rounding(follower)
    if grid is None or constant is None:
        return node, NO_EPILOGUE, None
    space.done.add(follower.name)
    low, high = clip_ends(grid)
    relu = space.only_user(follower)
    if relu is not None and relu.target is aten.relu.default:
        space.done.add(relu.name)
        return relu, Epilogue("hardtanh", (max(low, 0.0), max(high, 0.0))), constant
    return follower, Epilogue("hardtanh", (low, high)), constant
