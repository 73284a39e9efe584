"""Batch norms with constant statistics: scale * x + shift, in one pass."""

import torch
from torch import Tensor

from micronet.analysis.parameters import scale_and_shift
from micronet.evaluation.lowering.workspace import Workspace
from micronet.graph.ir import Node

aten = torch.ops.aten


def normalization(space: Workspace, node: Node) -> bool:
    """One fused multiply-add per element, in float32."""
    if node.target is not aten.batch_norm.default:
        return False
    weights = [space.graph.weight(argument) for argument in node.args[1:5] if argument is not None]
    if any(weight is None or weight.dtype != torch.float32 for weight in weights):
        return False
    axes = len(space.shapes[node.name])
    scale, shift = (part.view(-1, *[1] * (axes - 2)) for part in scale_and_shift(space.graph, node))

    def normalized(x: Tensor) -> Tensor:
        return torch.addcmul(shift, x, scale)

    space.emit(normalized, node.args[:1], node.name)
    return True
