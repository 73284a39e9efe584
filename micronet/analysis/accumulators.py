"""How narrow an accumulator may be: a proof for every filter, with no data run."""

from collections.abc import Mapping

import torch
from torch import Tensor

from micronet.analysis.dot_products import DOT_PRODUCTS, dot_products, factors
from micronet.analysis.integers import Integers, integers
from micronet.analysis.operations import Call
from micronet.analysis.shapes import Shapes, constants
from micronet.analysis.widths import FULL_WIDTH
from micronet.graph.grid import Grid
from micronet.graph.ir import Graph, Ref


def accumulator_bits(graph: Graph, shapes: Shapes) -> Mapping[str, list[int]]:
    """Proven width of each filter's accumulator, by node name, as far as it is worth counting: at most 32.

    See `exact_bits`; filters whose sums may need more prove nothing.
    """
    return {name: [min(bits, FULL_WIDTH) for bits in proof] for name, proof in exact_bits(graph, shapes).items()}


def exact_bits(graph: Graph, shapes: Shapes) -> Mapping[str, list[int]]:
    """Bits of two's complement that give each filter's sums exactly, for nodes whose operands are all fixed point.

    With integer weights w, inputs from `low` to `high` and a bias b, in units of the products or, if these are finer,
    of the bias, every partial sum lies in the ring of n-bit two's complement, and the end between P low - N high + b
    and P high - N low + b, where P sums the weights above zero and N those below, less their sign. If that fits n bits,
    n-bit addition gives the exact end, whatever wraps around on the way. Inputs at their own ends reach both ends, so
    that no proof is narrower that takes inputs for independent of each other, and zero for one of them (borders are
    padded with it). A filter without weights sums nothing, whatever its bias: 1 bit. Never wider than by
    sum|w| max|a| + |b|, the bound of SCORING section 5 (Colbert et al. 2023, "A2Q"); the ends are those of Colbert et
    al. 2024, "A2Q+". Of inputs that are joined, each is taken to have the ends of all.
    """
    return {name: proof for name, proof in _proofs(graph, shapes).items() if not isinstance(proof, str)}


def unproven(graph: Graph, shapes: Shapes) -> Mapping[str, str]:
    """What keeps the other dot products from a proof, by node name: what they read or have, in words."""
    return {name: proof for name, proof in _proofs(graph, shapes).items() if isinstance(proof, str)}


def _proofs(graph: Graph, shapes: Shapes) -> dict[str, list[int] | str]:
    """Of every dot product its proof, or why it has none."""
    nodes = [node for node in graph.nodes if node.target in DOT_PRODUCTS]
    read = {name for node in nodes for name in factors(node)} - graph.weights.keys()
    known = integers(graph, constants(graph), read)
    return {node.name: _proof(graph, Call(graph, shapes, node), known) for node in nodes}


def _proof(graph: Graph, call: Call, known: Mapping[str, Integers | str]) -> list[int] | str:
    products = dot_products(call)
    if products is None:
        return "two factors that are both computed"
    if products.biased and products.bias is None:
        return "a bias that is computed"
    weight, values = (call.node.args[index] for index in products.factors)
    grid = graph.formats.get(weight.name) if isinstance(weight, Ref) else None
    if grid is None or not grid.is_fixed_point or grid.axis not in (None, products.filter_axis):
        return "weights that are on no fixed-point grid, of one step for each filter"
    inputs = known.get(values.name, "constants") if isinstance(values, Ref) else "constants"
    return inputs if isinstance(inputs, str) else _prove(products.weights, products.bias, grid, inputs)


def _prove(weights: Tensor, bias: Tensor | None, grid: Grid, inputs: Integers) -> list[int]:
    """Bits per filter, exact integer arithmetic."""
    steps = torch.tensor(grid.steps, dtype=torch.float64)
    whole = (weights.double() / steps.view(-1, 1)).round().to(torch.int64)
    above: list[int] = whole.clamp(min=0).sum(1).tolist()
    below: list[int] = whole.clamp(max=0).sum(1).tolist()
    ends = [
        (more * inputs.low + less * inputs.high, more * inputs.high + less * inputs.low)
        for more, less in zip(above, below, strict=True)
    ]
    if bias is None:
        return [_bits_for(least, greatest) for least, greatest in ends]
    summing = whole.any(1)
    offsets: list[float] = (bias.double() / (steps * inputs.step)).expand(len(ends)).where(summing, 0.0).tolist()
    # a float is a whole number over a power of two: that many products' units make one unit of the bias
    fractions = [offset.as_integer_ratio() for offset in offsets]
    return [
        _bits_for(least * finer + offset, greatest * finer + offset)
        for (least, greatest), (offset, finer) in zip(ends, fractions, strict=True)
    ]


def _bits_for(least: int, greatest: int) -> int:
    """Bits of two's complement that hold every integer from `least` to `greatest`."""
    return max((end if end >= 0 else ~end).bit_length() for end in (least, greatest)) + 1
