"""Codes: the indices by which a quantized weight is made of fewer numbers than it has elements."""

from math import prod

import torch

from micronet.analysis.operations import Call
from micronet.analysis.parameters import Parameter
from micronet.graph.ir import Ref


def codes_of(call: Call) -> tuple[Parameter, ...]:
    """What is stored to know a constant that `call` selects from a smaller one: codebooks count (SCORING section 2).

    Each code takes the bits that tell the places of the smaller one apart. A selection that makes no more elements than
    it reads could be done ahead, so its indices are free; a weight that is no quantized one has been made ahead.
    """
    index = call.argument(2) if call.node.target is torch.ops.aten.index_select.default else None
    if not isinstance(index, Ref) or index.name not in call.graph.weights:
        return ()
    if prod(call.shapes[call.node.name]) <= prod(call.shape(0)):
        return ()
    axis, (codes,) = call.argument(1), call.shapes[index.name]  # one index without an axis makes no more than there is
    assert isinstance(axis, int)
    return (Parameter(f"{call.node.name}.codes", codes, codes, max((call.shape(0)[axis] - 1).bit_length(), 1)),)
