"""Permutations of channels that are not mere layout, such as a channel shuffle."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.operations import Call, Operations
from micronet.analysis.parameters import Parameter
from micronet.analysis.shapes import first_ref
from micronet.analysis.widths import JOINS, QUANTIZERS
from micronet.graph.ir import Node, Target

aten = torch.ops.aten

_RESHAPES = frozenset(
    {
        aten.view.default,
        aten.reshape.default,
        aten.flatten.using_ints,
        aten.unflatten.int,
        aten.unsqueeze.default,
        aten.squeeze.default,
        aten.squeeze.dim,
        aten.squeeze.dims,
        aten.clone.default,
        aten.contiguous.default,
    }
)
_ELEMENTWISE = frozenset(
    {
        aten.relu.default,
        aten.relu6.default,
        aten.hardtanh.default,
        aten.clamp.default,
        aten.clamp_min.default,
        aten.clamp_max.default,
        aten.leaky_relu.default,
        aten.elu.default,
        aten.gelu.default,
        aten.silu.default,
        aten.sigmoid.default,
        aten.tanh.default,
        aten.hardswish.default,
        aten.hardsigmoid.default,
    }
)
_KEEPS_ORDER: frozenset[Target] = _RESHAPES | _ELEMENTWISE | QUANTIZERS
"""Operations of one value that leave its elements in their order, whatever they do to each."""
_TRANSPOSITIONS = frozenset({aten.permute.default, aten.transpose.int})
_CHANNEL_AXIS = 1


@dataclass(frozen=True, slots=True)
class Permutation:
    """A product with a sparse matrix of zeros and ones: one multiplication per element, no addition; its storage is one
    bit per one and one mask bit per element of the matrix (SCORING section 2)."""

    operations: Operations
    parameter: Parameter


def permutation_of(call: Call) -> Permutation | None:
    """The permutation `call` computes, or None.

    A channel shuffle (Zhang et al. 2018, ShuffleNet) is a reshape of C channels to (groups, C / groups), a transpose of
    these two, and a reshape back to C. Quantizers and activation functions may stand in between. Groups that are
    stacked behind their channels and reshaped to C are interleaved all the same. An `index_select` that is no plain
    slice is the other way to write it. Transposes that are not reshaped back are layout, and so are slices,
    concatenations, and selections of places of an image that enlarge it by the nearest element or give it a border:
    ONNX files have these as indices, too. An image has four axes and its channels on the second; where channels are
    last, a shuffle of these counts, and of selections those of rows.
    """
    target = call.node.target
    if target is aten.index_select.default:
        return _selection(call)
    if target in _TRANSPOSITIONS:
        return _shuffle(call)
    return _interleaving(call) if target in JOINS else None


def _shuffle(call: Call) -> Permutation | None:
    """A transpose between two reshapes, which gives the first one's shape back with its channels in another order."""
    shape = call.shapes.of.get(_origin(call.graph.by_name(), first_ref(call.node)), ())
    if len(shape) < 2 or shape == call.shape(0) or shape not in _shapes_after(call):
        return None
    channels = shape[_CHANNEL_AXIS]
    before = _numbers(shape, _CHANNEL_AXIS)
    if not torch.equal(_moved(call, before).reshape(shape), before):
        return _permutation(call, channels, channels)
    if len(shape) == 2:
        return None
    last, places = _numbers(shape, -1), torch.arange(math.prod(shape[:-1])).view(*shape[:-1], 1).expand(shape)
    within = torch.equal(_moved(call, places).reshape(shape), places)
    shuffled = within and not torch.equal(_moved(call, last).reshape(shape), last)
    return _permutation(call, shape[-1], shape[-1]) if shuffled else None


def _moved(call: Call, values: Tensor) -> Tensor:
    moved = call.node.target(values.reshape(call.shape(0)), *call.node.args[1:])
    assert isinstance(moved, Tensor)
    return moved


def _interleaving(call: Call) -> Permutation | None:
    """Values of one shape, joined along a new axis, and reshaped to one that has the channels of all, in turns."""
    axis, operands = call.argument(1), [ref.name for ref in call.node.refs()]
    assert isinstance(axis, int)
    if axis % len(call.shapes[call.node.name]) == _CHANNEL_AXIS:
        return None  # one after the other, however each is reshaped
    makers = call.graph.by_name()
    shape = call.shapes.of.get(_origin(makers, operands[0]), ())
    if len(shape) < 3 or any(call.shapes.of.get(_origin(makers, name), ()) != shape for name in operands):
        return None
    channels = len(operands) * shape[_CHANNEL_AXIS]
    joined = (shape[0], channels, *shape[_CHANNEL_AXIS + 1 :])
    if call.shapes.of[call.node.name] == joined or joined not in _shapes_after(call):
        return None
    numbers = [
        (_numbers(shape, _CHANNEL_AXIS) + place * shape[_CHANNEL_AXIS]).reshape(call.shapes.of[name])
        for place, name in enumerate(operands)
    ]
    made = call.node.target(numbers, axis)
    assert isinstance(made, Tensor)
    in_order = torch.equal(made.reshape(joined), _numbers(joined, _CHANNEL_AXIS))
    return None if in_order else _permutation(call, channels, channels)


def _numbers(shape: tuple[int, ...], axis: int) -> Tensor:
    """Each element's place along `axis`."""
    sizes = [1] * len(shape)
    sizes[axis] = shape[axis]
    return torch.arange(shape[axis]).view(sizes).expand(shape)


def _selection(call: Call) -> Permutation | None:
    index, axis = call.weight(2), call.argument(1)
    assert isinstance(axis, int)
    shape = call.shape(0)
    size = shape[axis]
    if index is None or _is_slice(index):
        return None
    if len(shape) == 4 and axis % len(shape) > _CHANNEL_AXIS and (_is_resize(index) or _is_border(index, size)):
        return None
    return _permutation(call, index.numel(), size)


def _is_slice(index: Tensor) -> bool:
    """Whether the indices go up in equal steps, as those of a slice do."""
    steps = index.diff()
    return bool((steps == steps[:1]).all() and (steps > 0).all())


def _is_resize(index: Tensor) -> bool:
    """Whether the indices are those of a row at another scale, rounded: steps up that differ by two at most.

    By one where places are exact; in float32 one that is whole may come out as the one before it (every seventh: 0, 6,
    14). Among them are rows whose ends are repeated.
    """
    steps = index.diff()
    return bool(steps.min() >= 0) and bool(steps.max() - steps.min() <= 2)


def _is_border(index: Tensor, size: int) -> bool:
    """Whether the indices are a whole row in order, between borders that mirror it or go on at its other end."""
    places = torch.arange(index.numel())
    for before in (int(index[0]), (size - int(index[0])) % size):
        place = places - before
        mirrored = size - 1 - (size - 1 - place.abs()).abs()
        after = index.numel() - size - before
        if min(before, after) >= 0 and (torch.equal(index, mirrored) or torch.equal(index, place % size)):
            return True
    return False


def _permutation(call: Call, rows: int, columns: int) -> Permutation:
    matrix = Parameter(f"{call.node.name}.permutation", rows * columns, rows, 1)
    return Permutation(Operations(call.outputs), matrix)


def _origin(makers: Mapping[str, Node], name: str) -> str:
    """Name of the value that the one called `name` has the elements of, in their order."""
    while (maker := makers.get(name)) is not None and maker.target in _KEEPS_ORDER:
        name = first_ref(maker)
    return name


def _shapes_after(call: Call) -> set[tuple[int, ...]]:
    """What the node's value is reshaped to, through any number of operations that keep the order."""
    users = call.graph.users()
    found: set[tuple[int, ...]] = set()
    waiting = [call.node.name]
    while waiting:
        kept = [user for user in users.get(waiting.pop(), []) if user.target in _KEEPS_ORDER]
        found.update(call.shapes.of.get(user.name, ()) for user in kept if user.target in _RESHAPES)
        waiting.extend(user.name for user in kept)
    return found
