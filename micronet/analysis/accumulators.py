"""How narrow an accumulator may be: a proof for every filter, with no data run."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.attainable import attainable
from micronet.analysis.dot_products import dot_products
from micronet.analysis.operations import Call
from micronet.analysis.shapes import Shapes, constants, tensor_refs
from micronet.analysis.widths import COMPARISONS, FULL_WIDTH, JOINS, KEEPS_WIDTH, activation_grid, padding_value
from micronet.graph.grid import Grid
from micronet.graph.ir import Argument, Graph, Node, Ref

aten = torch.ops.aten


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
    al. 2024, "A2Q+".
    """
    makers, fixed = graph.by_name(), constants(graph)
    proofs: dict[str, list[int]] = {}
    for node in graph.nodes:
        products = dot_products(Call(graph, shapes, node))
        if products is None or (products.biased and products.bias is None):
            continue
        weight, values = (node.args[index] for index in products.factors)
        grid = graph.formats.get(weight.name) if isinstance(weight, Ref) else None
        inputs = _inputs(makers, fixed, values)
        if grid is None or inputs is None or not grid.is_fixed_point:
            continue
        if grid.axis in (None, products.filter_axis):
            proofs[node.name] = _prove(products.weights, products.bias, grid, inputs)
    return proofs


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a filter multiplies: integers from `low` to `high`, zero among them as borders are padded with it."""

    low: int
    high: int
    step: float


def _prove(weights: Tensor, bias: Tensor | None, grid: Grid, inputs: _Inputs) -> list[int]:
    """Bits per filter, exact integer arithmetic."""
    steps = torch.tensor(grid.steps, dtype=torch.float64)
    integers = (weights.double() / steps.view(-1, 1)).round().to(torch.int64)
    above: list[int] = integers.clamp(min=0).sum(1).tolist()
    below: list[int] = integers.clamp(max=0).sum(1).tolist()
    ends = [
        (more * inputs.low + less * inputs.high, more * inputs.high + less * inputs.low)
        for more, less in zip(above, below, strict=True)
    ]
    if bias is None:
        return [_bits_for(least, greatest) for least, greatest in ends]
    summing = integers.any(1)
    offsets: list[float] = (bias.double() / (steps * inputs.step)).expand(len(ends)).where(summing, 0.0).tolist()
    # a float is a whole number over a power of two: that many products' units make one unit of the bias
    fractions = [offset.as_integer_ratio() for offset in offsets]
    return [
        _bits_for(least * finer + whole, greatest * finer + whole)
        for (least, greatest), (whole, finer) in zip(ends, fractions, strict=True)
    ]


def _bits_for(least: int, greatest: int) -> int:
    """Bits of two's complement that hold every integer from `least` to `greatest`."""
    return max((end if end >= 0 else ~end).bit_length() for end in (least, greatest)) + 1


def _inputs(makers: Mapping[str, Node], fixed: frozenset[str], values: Argument) -> _Inputs | None:
    """Range of `values`, looking through what keeps values (or chooses among them, or pads with zero)."""
    maker = makers.get(values.name) if isinstance(values, Ref) else None
    positive = False
    while maker is not None:
        grid = activation_grid(maker)
        if grid is not None:
            if not grid.is_fixed_point:
                return None
            low, high = attainable(makers, maker, grid)
            return _Inputs(0 if positive else min(low, 0), max(high, 0), grid.steps[0])
        positive |= maker.target is aten.relu.default
        source = _kept(maker, fixed)
        maker = None if source is None else makers.get(source)
    return None


def _kept(node: Node, fixed: frozenset[str]) -> str | None:
    """The one value from which all the node's values are taken, zeros aside; None where there may be others.

    Sizes and indices bring in no values; a constant that is compared with, joined to or padded around them does.
    """
    if node.target not in KEEPS_WIDTH or padding_value(node):  # of which the grid's range says nothing
        return None
    names = tensor_refs(node)
    sources = [name for name in names if name not in fixed]
    brings_constants = len(names) > len(sources) and node.target in COMPARISONS | JOINS
    return sources[0] if len(sources) == 1 and not brings_constants else None
