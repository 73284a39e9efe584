"""How many bits wide each value is."""

import math
import operator
from collections.abc import Mapping

import torch
from torch import Tensor
from torch._ops import OpOverload

from micronet.analysis.formulas import FREE
from micronet.analysis.rules import RULES
from micronet.analysis.shapes import first_ref
from micronet.graph.grid import Grid
from micronet.graph.ir import Graph, Node, Ref, Target

aten = torch.ops.aten

FULL_WIDTH = 32
"""Of a value that the graph does not quantize, and of an accumulator that nobody proved narrower."""

COMPARISONS: frozenset[Target] = frozenset(
    {
        aten.relu.default,
        aten.maximum.default,
        aten.minimum.default,
        aten.max_pool1d.default,
        aten.max_pool2d.default,
        aten.adaptive_max_pool2d.default,
        aten.amax.default,
        aten.amin.default,
    }
)
"""Operations that choose among their inputs."""

JOINS: frozenset[Target] = frozenset({aten.cat.default, aten.stack.default})
"""Operations that put several inputs into one result."""

KEEPS_WIDTH: frozenset[Target] = COMPARISONS | {target for target, rule in RULES.items() if rule is FREE}
"""Operations whose results are among their inputs, zero, or what they pad with (see `padding_value`), and so need no
more bits than the widest of these. Numbers that are spread beside values, as zeros_like makes them, count as what is
padded with."""

PADS: frozenset[Target] = frozenset({aten.pad.default, aten.constant_pad_nd.default})
"""Operations that put a number around a value."""

QUANTIZERS: frozenset[Target] = frozenset(
    {aten.fake_quantize_per_tensor_affine.default, aten.fake_quantize_per_channel_affine.default}
)
"""Operations that put every value on a grid; the last two arguments are the grid's ends."""


def widths(graph: Graph) -> Mapping[str, int]:
    """Bits of each value: of a weight by its grid, of a quantizer's result by its range, 32 otherwise.

    Sizes and indices say where values go and are none themselves: 0.
    """
    bits = {
        name: graph.formats[name].bits if name in graph.formats else FULL_WIDTH if weight.is_floating_point() else 0
        for name, weight in graph.weights.items()
    }
    bits[graph.input] = FULL_WIDTH
    grids = dict[str, Grid | None](graph.formats)
    numbers = single_numbers(graph)
    for node in graph.nodes:
        grids[node.name] = activation_grid(node) or _kept_grid(node, bits, grids, numbers)
        bits[node.name] = _width(node, bits, grids[node.name], numbers)
    return bits


def quantizes(graph: Graph) -> bool:
    """Whether any tensor of the graph, weight or value, is on a grid of its own."""
    return bool(graph.formats) or any(node.target in QUANTIZERS for node in graph.nodes)


def activation_grid(node: Node) -> Grid | None:
    """The grid a per-tensor quantizer node puts its values on."""
    if node.target is not aten.fake_quantize_per_tensor_affine.default:
        return None
    _, step, zero_point, low, high = node.args
    if not (isinstance(step, float) and isinstance(zero_point, int) and isinstance(low, int) and isinstance(high, int)):
        return None
    return Grid((high - low).bit_length(), low, high, (step,), (zero_point,))


def weight_grid(node: Node, weights: Mapping[str, Tensor]) -> Grid | None:
    """The grid a quantizer puts a weight on, one step per channel included; None where a step is no constant."""
    if node.target is not aten.fake_quantize_per_channel_affine.default:
        return activation_grid(node)
    _, steps, zero_points, axis, low, high = node.args
    if not (isinstance(steps, Ref) and isinstance(zero_points, Ref) and isinstance(axis, int)):
        return None
    if steps.name not in weights or zero_points.name not in weights:
        return None
    assert isinstance(low, int)
    assert isinstance(high, int)
    offsets = tuple(int(offset) for offset in weights[zero_points.name].tolist())
    return Grid((high - low).bit_length(), low, high, tuple(weights[steps.name].tolist()), offsets, axis)


def grid_tensors(graph: Graph) -> frozenset[str]:
    """Weights that are steps and zero points of quantizers which have one for each channel.

    They say where a grid lies, and no value is computed with them: they stay as they are, in float32.
    """
    return frozenset(
        argument.name
        for node in graph.nodes
        if node.target is aten.fake_quantize_per_channel_affine.default
        for argument in node.args[1:3]
        if isinstance(argument, Ref) and argument.name in graph.weights
    )


def padding_value(node: Node) -> float:
    """The number that the node puts around a value; 0 where that is zero, or where the node is no padding."""
    values = (*node.args[2:], node.kwargs.get("value")) if node.target in PADS else ()
    return next((float(value) for value in values if isinstance(value, float | int)), 0.0)


def single_numbers(graph: Graph) -> Mapping[str, float]:
    """The one number that each literal of one holds, spread over more places, such as the images, or not."""
    numbers: dict[str, float] = {}
    for name in graph.literals:
        literal = graph.weights[name]
        if literal.is_floating_point() and not literal.is_meta and literal.numel():
            number = literal.reshape(-1)[0]
            if bool((literal == number).all()):
                numbers[name] = float(number)
    for node in graph.nodes:
        if node.target is aten.expand.default and (number_of := numbers.get(first_ref(node))) is not None:
            numbers[node.name] = number_of
    return numbers


def _kept_grid(
    node: Node, bits: Mapping[str, int], grids: Mapping[str, Grid | None], numbers: Mapping[str, float]
) -> Grid | None:
    """The grid of the one value from which the node takes its own; sizes, indices and numbers are none."""
    sources = {ref.name for ref in node.refs() if bits[ref.name] and ref.name not in numbers}
    return grids.get(sources.pop()) if node.target in KEEPS_WIDTH and len(sources) == 1 else None


def _lies_on(value: float, grid: Grid) -> bool:
    """Whether `value`, in float32, is a point of a grid with one step for all."""
    if grid.axis is not None:
        return False
    number, step = torch.tensor(value), torch.tensor(grid.steps[0])
    point = (number / step).round()
    return grid.low <= float(point) + grid.zero_points[0] <= grid.high and bool(point * step == number)


def _width(node: Node, bits: Mapping[str, int], grid: Grid | None, numbers: Mapping[str, float]) -> int:
    if node.target in QUANTIZERS:
        low, high = node.args[-2:]
        assert isinstance(low, int)
        assert isinstance(high, int)
        return (high - low).bit_length()
    if is_size(node):
        return 0
    if node.target not in KEEPS_WIDTH:
        return FULL_WIDTH
    own = [padding_value(node), *(numbers[ref.name] for ref in node.refs() if ref.name in numbers)]
    if any(not _fits(number, grid) for number in own):
        return FULL_WIDTH
    return max((bits[ref.name] for ref in node.refs() if ref.name not in numbers), default=FULL_WIDTH) or FULL_WIDTH


def _fits(number: float, grid: Grid | None) -> bool:
    """Whether `number` needs no more bits than the values it is put beside, which may be on a `grid` of their own."""
    if number in (0, -math.inf):  # a max pool never gives -infinity
        return True
    return grid is not None and _lies_on(number, grid)


def is_size(node: Node) -> bool:
    """Whether the node gives a size, or computes one from sizes."""
    scalar = not isinstance(node.target, OpOverload) and node.target is not operator.getitem
    return scalar or node.target is aten.sym_size.int
