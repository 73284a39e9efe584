"""Permutations of channels that are not mere layout, such as a channel shuffle."""

from dataclasses import dataclass

import torch

from micronet.analysis.operations import Call, Operations
from micronet.analysis.parameters import Parameter
from micronet.graph.ir import Graph, Node, Ref

aten = torch.ops.aten

_RESHAPES = frozenset({aten.view.default, aten.reshape.default, aten.flatten.using_ints, aten.unflatten.int})
_COPIES = frozenset({aten.clone.default, aten.contiguous.default})
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
    these two, and a reshape back to C. An `index_select` of channels that is no plain slice is the other way to write it.
    """
    node = call.node
    if node.target is aten.index_select.default:
        return _selection(call)
    if node.target not in (aten.permute.default, aten.transpose.int) or not _swaps_channel_groups(node):
        return None
    before = _through_copies(call.graph, _maker(call.graph, node))
    users = _users_through_copies(call.graph, node)
    if before is None or before.target not in _RESHAPES or not users:
        return None
    source = before.args[0]
    assert isinstance(source, Ref)
    original = call.shapes.of.get(source.name, ())
    merged = [call.shapes.of.get(user.name, ()) for user in users if user.target in _RESHAPES]
    if (
        len(merged) != len(users)
        or any(shape != original for shape in merged)
        or len(original) + 1 != len(call.shape(0))
    ):
        return None
    return _permutation(call, original[_CHANNEL_AXIS], original[_CHANNEL_AXIS])


def _selection(call: Call) -> Permutation | None:
    index = call.weight(2)
    axis = call.argument(1)
    if index is None or axis != _CHANNEL_AXIS or bool((index.diff() == 1).all()):
        return None
    return _permutation(call, index.numel(), call.shape(0)[_CHANNEL_AXIS])


def _permutation(call: Call, rows: int, columns: int) -> Permutation:
    matrix = Parameter(f"{call.node.name}.permutation", rows * columns, rows, 1)
    return Permutation(Operations(call.outputs), matrix)


def _swaps_channel_groups(node: Node) -> bool:
    """Whether the node swaps axes 1 and 2 and leaves the others."""
    if node.target is aten.transpose.int:
        return set(node.args[1:3]) == {_CHANNEL_AXIS, _CHANNEL_AXIS + 1}
    order = node.args[1]
    return isinstance(order, tuple) and order == (0, 2, 1, *range(3, len(order)))


def _maker(graph: Graph, node: Node) -> Node | None:
    source = node.args[0]
    return graph.by_name().get(source.name) if isinstance(source, Ref) else None


def _through_copies(graph: Graph, node: Node | None) -> Node | None:
    while node is not None and node.target in _COPIES:
        node = _maker(graph, node)
    return node


def _users_through_copies(graph: Graph, node: Node) -> list[Node]:
    users = graph.users()
    found, waiting = [], [node.name]
    while waiting:
        for user in users.get(waiting.pop(), []):
            if user.target in _COPIES:
                waiting.append(user.name)
            else:
                found.append(user)
    return found
