"""What nodes give that read constants only, and the grids it lies on where these are quantized weights."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch._ops import OpOverload

from micronet.analysis.widths import COMPARISONS, KEEPS_WIDTH, PADS, QUANTIZERS, weight_grid
from micronet.graph.grid import Grid, along_axis, on_grid
from micronet.graph.ir import Node, Ref, Target
from micronet.graph.meta import on_meta
from micronet.graph.moved_grids import Steps, moved_steps, steps_of

aten = torch.ops.aten

MOVES: frozenset[Target] = frozenset(
    target
    for target in KEEPS_WIDTH - COMPARISONS - PADS
    if isinstance(target, OpOverload) or target is operator.getitem
) - {aten.sym_size.int}
"""Operations whose every element is one of their operands'; arithmetic on sizes is none."""
_SUMS: frozenset[Target] = frozenset({aten.add.Tensor, aten.sub.Tensor})
_HALF_ULP = 2.0**-24
"""Of float32, as a part of the number that is rounded."""
_CLEAR = 0.25
"""Of a step: how well a sum has to be known to tell the point of the grid that it is from the next."""


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A value that no image changes.

    value       a tensor, several in a list, or a size
    steps       of each of its tensors, on the grid of what it was computed of; () where none of that is quantized
    quantized   whether its tensors lie on these
    """

    value: object
    steps: tuple[Steps, ...] = ()
    quantized: bool = False

    @property
    def tensors(self) -> list[Tensor]:
        """It, or its parts."""
        parts = self.value if isinstance(self.value, list | tuple) else [self.value]
        return [part for part in parts if isinstance(part, Tensor)]

    @property
    def grid(self) -> Grid | None:
        """Of a tensor, if it has one."""
        return self.steps[0].grid() if len(self.steps) == 1 else None

    @property
    def elements(self) -> int:
        """Of all its tensors together."""
        return sum(tensor.numel() for tensor in self.tensors)


def constant(node: Node, known: Mapping[str, Constant]) -> Constant:
    """What `node` gives; `known` has all that it reads.

    A quantizer puts it on a grid. Moved about, it takes its grid along, steps per channel with their axis. Computed
    with, it is compared with the grid of each operand: rounding to one has to give it back exactly, as it does after a
    product with a mask. A sum or difference of two tensors may be off by what float32 rounded in it and in its
    operands, and is put on the grid then: straight-through, w + (q - w) is q by intent, and by arithmetic but for that
    (Bengio, Leonard and Courville 2013, "Estimating or propagating gradients through stochastic neurons").
    """
    value = _value(node, known)
    if node.target in QUANTIZERS:
        tensors = {name: one.value for name, one in known.items() if isinstance(one.value, Tensor)}
        grid = weight_grid(node, tensors)
        return Constant(value) if grid is None else on(value, grid)
    sources = _sources(known)
    if node.target in MOVES and sources and all(one.steps for one in sources.values()):
        steps = _moved(node, known, sources, Constant(value))
        return Constant(value, steps, bool(steps) and all(one.quantized for one in sources.values()))
    if isinstance(value, Tensor) and value.is_floating_point() and any(one.steps for one in sources.values()):
        return _computed(node, known, value)
    return Constant(value)


def on(value: object, grid: Grid) -> Constant:
    """A tensor that lies on `grid`."""
    assert isinstance(value, Tensor)
    return Constant(value, (steps_of(value.shape, grid),), quantized=True)


def _value(node: Node, known: Mapping[str, Constant]) -> object:
    values = {name: one.value for name, one in known.items()}
    if any(tensor.is_meta for one in known.values() for tensor in one.tensors):
        return on_meta(node.target, *node.operands(values))
    return node.value(values)


def enlarges(made: Constant, known: Mapping[str, Constant]) -> bool:
    """Whether it has more elements than what it was moved from."""
    return made.elements > sum(one.elements for one in _sources(known).values())


def _sources(known: Mapping[str, Constant]) -> dict[str, Constant]:
    """What is no size and no index."""
    return {name: one for name, one in known.items() if any(part.is_floating_point() for part in one.tensors)}


def _moved(
    node: Node, known: Mapping[str, Constant], sources: Mapping[str, Constant], made: Constant
) -> tuple[Steps, ...]:
    """The steps of each tensor that a move gives; () where these are of several kinds."""
    if node.target is operator.getitem:
        (whole,), place = sources.values(), node.args[1]
        assert isinstance(place, int)
        return (whole.steps[place],)

    def move(numbers: list[Tensor]) -> list[Tensor]:
        device = made.tensors[0].device if len(known) > len(sources) else torch.device("cpu")
        given = dict(zip(sources, (one.to(device) for one in numbers), strict=True))
        return Constant(node.value({name: given.get(name, one.value) for name, one in known.items()})).tensors

    shapes = [tensor.shape for tensor in made.tensors]
    return tuple(moved_steps([one.steps[0] for one in sources.values()], move, shapes) or ())


def _computed(node: Node, known: Mapping[str, Constant], value: Tensor) -> Constant:
    """A tensor, on the first grid of its operands that it lies on; else on none, with the first that it might have."""
    candidates = [grid for one in known.values() if (grid := _spread(one, value)) is not None]
    slack = _rounding(node, known)
    for grid in () if value.is_meta else candidates:
        points = on_grid(value, grid)
        if torch.equal(points, value):
            return on(value, grid)
        steps, _ = along_axis(value, grid)
        if slack is not None and bool(((slack <= steps * _CLEAR) & ((points - value).abs() <= slack)).all()):
            return on(points, grid)
    return Constant(value, tuple(steps_of(value.shape, grid) for grid in candidates[:1]))


def _spread(operand: Constant, result: Tensor) -> Grid | None:
    """The grid of an operand, for a result that it may be broadcast to: axes are told from the last."""
    grid = operand.grid
    if grid is None or grid.axis is None or len(grid.steps) == 1:
        return None if grid is None else replace(grid, axis=None)
    axis = grid.axis + result.dim() - operand.tensors[0].dim()
    fits = 0 <= axis < result.dim() and result.shape[axis] == len(grid.steps)
    return replace(grid, axis=axis) if fits else None


def _rounding(node: Node, known: Mapping[str, Constant]) -> Tensor | None:
    """How far off a sum of two tensors may be, of which one may be such a sum; None for other operations.

    Each of the two roundings is off by half an ulp of a number that is no larger than both terms together.
    """
    if node.target not in _SUMS or node.kwargs or len(node.args) != 2:
        return None
    terms = [known[argument.name].tensors[0].abs() for argument in node.args if isinstance(argument, Ref)]
    return 2 * _HALF_ULP * (terms[0] + terms[1]) if len(terms) == 2 else None
