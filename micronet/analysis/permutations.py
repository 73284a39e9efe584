"""Permutations of channels that are not mere layout, such as a channel shuffle."""

from dataclasses import dataclass

import torch
from torch import Tensor

from micronet.analysis.operations import Call, Operations
from micronet.analysis.parameters import Parameter
from micronet.analysis.shapes import first_ref
from micronet.graph.ir import Graph, Node

aten = torch.ops.aten

_RESHAPES = frozenset(
    {
        aten.view.default,
        aten.reshape.default,
        aten.flatten.using_ints,
        aten.unflatten.int,
        aten.clone.default,
        aten.contiguous.default,
    }
)
"""Operations that leave values in their order."""
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
    these two, and a reshape back to C; torch has it as one operation, too. An `index_select` that is no plain slice is
    the other way to write it. Transposes that are not reshaped back are layout, and so are selections of places of an
    image that enlarge it by the nearest element or give it a border: ONNX files have these as indices, too. An image
    has four axes and its channels on the second; of one with channels last, the rows count.
    """
    target = call.node.target
    if target is aten.index_select.default:
        return _selection(call)
    if target is aten.channel_shuffle.default:
        channels = call.shape(0)[_CHANNEL_AXIS]
        return None if call.argument(1) in (1, channels) else _permutation(call, channels, channels)
    return _shuffle(call) if target in _TRANSPOSITIONS else None


def _shuffle(call: Call) -> Permutation | None:
    """A transpose between two reshapes, which gives the first one's shape back with its channels in another order."""
    graph, node = call.graph, call.node
    source, users = _before_reshapes(graph, node), _reshapes_after(graph, node)
    shape = call.shapes.of.get(source, ())
    if shape == call.shape(0) or not any(call.shapes.of.get(user.name) == shape for user in users):
        return None
    channels = shape[_CHANNEL_AXIS]
    before = torch.arange(channels).view(1, channels, *[1] * (len(shape) - 2)).expand(shape)
    moved = node.target(before.reshape(call.shape(0)), *node.args[1:])
    assert isinstance(moved, Tensor)
    return None if torch.equal(moved.reshape(shape), before) else _permutation(call, channels, channels)


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


def _before_reshapes(graph: Graph, node: Node) -> str:
    """Name of the value the node's operand was reshaped from, through any number of reshapes."""
    makers = graph.by_name()
    name = first_ref(node)
    while (maker := makers.get(name)) is not None and maker.target in _RESHAPES:
        name = first_ref(maker)
    return name


def _reshapes_after(graph: Graph, node: Node) -> list[Node]:
    """What the node's value is reshaped to, through any number of reshapes."""
    users = graph.users()
    found, waiting = [], [node.name]
    while waiting:
        reshapes = [user for user in users.get(waiting.pop(), []) if user.target in _RESHAPES]
        found.extend(reshapes)
        waiting.extend(user.name for user in reshapes)
    return found
