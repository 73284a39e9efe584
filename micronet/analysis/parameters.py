"""The tensors inference needs, and what it takes to store them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.widths import FULL_WIDTH, activation_grid
from micronet.errors import UnknownOperation
from micronet.graph.grid import Grid
from micronet.graph.ir import Argument, Graph, Node, Ref

aten = torch.ops.aten

EXPONENT_BITS = 8
"""Of a fixed-point exponent (SCORING section 2)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One tensor of parameters, as inference stores it.

    elements, nonzero   numbers of elements
    bits                of one element, by its grid; 32 where it has none
    exponents           fixed-point exponents that go with it, 8 bits each
    scale_bits          bits of the scales and zero points that go with it, where its grid is no fixed point
    """

    name: str
    elements: int
    nonzero: int
    bits: int
    exponents: int = 0
    scale_bits: int = 0


def parameters(graph: Graph) -> dict[str, tuple[Parameter, ...]]:
    """Parameters by the name of the node that stores them: the first to read the weight, so that each counts once.

    A batch norm in inference is a scale and a shift per channel, whatever it was trained with: two tensors, not four.
    Weights that an operation fixes (`Graph.literals`) are none. What a selection picks is stored as its permutation
    or its codes, if at all, and not as places too. The exponent of a quantized value belongs to the
    quantizer that makes it.
    """
    seen: set[str] = set(graph.literals)
    owned: dict[str, tuple[Parameter, ...]] = {}
    for node in graph.nodes:
        found = tuple(_parameters_of(graph, node, seen))
        if found:
            owned[node.name] = found
    return owned


def scale_and_shift(graph: Graph, node: Node) -> tuple[Tensor, Tensor]:
    """(channels,) each: the batch norm `node` as `scale * x + shift`; Ioffe and Szegedy 2015, algorithm 2.

    Raises UnknownOperation where these are no constants.
    """
    weight, bias, mean, variance = (_tensor(graph, argument) for argument in node.args[1:5])
    eps = node.args[7]
    assert isinstance(eps, float)
    assert mean is not None
    assert variance is not None
    deviation = torch.sqrt(variance.double() + eps)
    scale = 1 / deviation if weight is None else weight.double() / deviation
    shift = -mean.double() * scale if bias is None else bias.double() - mean.double() * scale
    return scale.float(), shift.float()


def _parameters_of(graph: Graph, node: Node, seen: set[str]) -> Iterator[Parameter]:
    if node.target is aten.batch_norm.default:
        yield from _batch_norm(graph, node, seen)
        return
    grid = activation_grid(node)
    if grid is not None:
        yield Parameter(f"{node.name}.exponent", 0, 0, 0, *_steps(grid))
    places = node.args[2] if node.target is aten.index_select.default else None
    for ref in node.refs():
        if ref.name in graph.weights and ref.name not in seen and ref != places:
            seen.add(ref.name)
            yield _parameter(ref.name, graph.weights[ref.name], graph.formats.get(ref.name))


def _batch_norm(graph: Graph, node: Node, seen: set[str]) -> Iterator[Parameter]:
    names = [argument.name for argument in node.args[1:5] if isinstance(argument, Ref)]
    if all(name in seen for name in names):
        return
    seen.update(names)
    grids = batch_norm_grids(graph, node)
    for kind, tensor, grid in zip(("scale", "shift"), scale_and_shift(graph, node), grids, strict=True):
        yield _parameter(f"{node.name}.{kind}", tensor, grid)


def batch_norm_grids(graph: Graph, node: Node) -> tuple[Grid | None, Grid | None]:
    """Grids of scale and shift: those of weight and bias, where the statistics leave both as they are."""
    weight, bias, mean, variance = node.args[1:5]
    means, variances = _tensor(graph, mean), _tensor(graph, variance)
    if means is None or variances is None or means.is_meta or node.args[7] != 0:
        return None, None
    if bool(means.any()) or bool((variances != 1).any()):
        return None, None
    grids = [graph.formats.get(argument.name) if isinstance(argument, Ref) else None for argument in (weight, bias)]
    return grids[0], grids[1]


def _parameter(name: str, tensor: Tensor, grid: Grid | None) -> Parameter:
    nonzero = tensor.numel() if tensor.is_meta else int(torch.count_nonzero(tensor))
    if grid is None:
        return Parameter(name, tensor.numel(), nonzero, FULL_WIDTH)
    return Parameter(name, tensor.numel(), nonzero, grid.bits, *_steps(grid))


def _steps(grid: Grid) -> tuple[int, int]:
    """Exponents, and bits of scales and zero points."""
    if grid.is_fixed_point:
        return len(grid.steps), 0
    offsets = grid.bits * len(grid.zero_points) if any(grid.zero_points) else 0
    return 0, FULL_WIDTH * len(grid.steps) + offsets


def _tensor(graph: Graph, argument: Argument) -> Tensor | None:
    """A constant operand of a batch norm. Raises UnknownOperation for one that is computed when the network runs."""
    if not isinstance(argument, Ref):
        return None
    if argument.name not in graph.weights:
        raise UnknownOperation(
            f"a batch norm whose scale, shift or statistics are computed ({argument.name}) has no counting rule. "
            "Store them as tensors, or write the normalization as products and sums."
        )
    return graph.weights[argument.name]


def total(parameters_of_node: Sequence[Parameter], field: str) -> int:
    """Sum of one field over parameters."""
    return sum(int(getattr(parameter, field)) for parameter in parameters_of_node)
