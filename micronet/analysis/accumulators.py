"""How narrow an accumulator may be: a proof for every filter, with no data run."""

from collections.abc import Mapping

import torch
from torch import Tensor

from micronet.analysis.dot_products import dot_products
from micronet.analysis.operations import Call
from micronet.analysis.shapes import Shapes, first_ref
from micronet.analysis.widths import FULL_WIDTH, KEEPS_WIDTH, activation_grid
from micronet.graph.grid import Grid
from micronet.graph.ir import Graph, Node, Ref


def accumulator_bits(graph: Graph, shapes: Shapes) -> Mapping[str, list[int]]:
    """Proven width of each filter's accumulator, by node name, for nodes whose operands are all fixed point.

    With integer weights w, a bias b on the products' grid and inputs of magnitude at most A, every partial sum lies in
    the ring of n-bit two's complement, and the end of it within sum|w| * A + |b|. If that fits n bits, n-bit addition
    gives the exact end, whatever wraps around on the way (the bound of Colbert et al. 2023, "A2Q", section 3).
    Filters whose bound needs more than 32 bits, and a bias off the products' grid, prove nothing: 32.
    """
    makers = graph.by_name()
    proofs: dict[str, list[int]] = {}
    for node in graph.nodes:
        call = Call(graph, shapes, node)
        products = dot_products(call)
        weight = node.args[1] if len(node.args) > 1 else None
        if products is None or not isinstance(weight, Ref) or weight.name not in graph.formats:
            continue
        inputs = _grid_behind(makers, node)
        grid = graph.formats[weight.name]
        if inputs is not None and grid.is_fixed_point and inputs.is_fixed_point and grid.axis in (None, 0):
            proofs[node.name] = _prove(products.weights, products.bias, grid, inputs)
    return proofs


def _prove(weights: Tensor, bias: Tensor | None, grid: Grid, inputs: Grid) -> list[int]:
    """Bits per filter, exact integer arithmetic."""
    steps = torch.tensor(grid.steps, dtype=torch.float64)
    integers = (weights.double() / steps.view(-1, 1)).round().to(torch.int64)
    bounds: list[int] = [total * max(-inputs.low, inputs.high) for total in integers.abs().sum(1).tolist()]
    if bias is None:
        return [_bits_for(bound) for bound in bounds]
    on_grid = bias.double() / (steps * inputs.steps[0])
    whole = on_grid == on_grid.round()
    return [
        _bits_for(bound + abs(int(offset))) if exact else FULL_WIDTH
        for bound, offset, exact in zip(bounds, on_grid.tolist(), whole.tolist(), strict=True)
    ]


def _bits_for(bound: int) -> int:
    """Bits of two's complement that hold every integer in [-bound, bound], at most 32."""
    return min(bound.bit_length() + 1, FULL_WIDTH)


def _grid_behind(makers: Mapping[str, Node], node: Node) -> Grid | None:
    """Grid of the node's first operand, looking through what keeps values (or chooses among them, or pads with zero)."""
    maker = makers.get(first_ref(node))
    while maker is not None:
        grid = activation_grid(maker)
        if grid is not None:
            return grid
        refs = {ref.name for ref in maker.refs()}
        values = [name for name in refs if name in makers and not _is_size(makers[name])]
        if maker.target not in KEEPS_WIDTH or len(values) != 1 or _pads_with_value(maker):
            return None
        maker = makers.get(values[0])
    return None


def _pads_with_value(node: Node) -> bool:
    """Whether the node brings in a constant other than zero, which the grid's range says nothing about."""
    return "pad" in str(node.target) and any(isinstance(value, float | int) and value for value in node.args[2:])


def _is_size(node: Node) -> bool:
    return node.target is torch.ops.aten.sym_size.int
