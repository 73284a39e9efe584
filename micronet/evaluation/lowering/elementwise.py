"""Element by element, into an operand that nobody else reads."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from micronet.evaluation.lowering.workspace import Workspace
from micronet.graph.ir import Argument, Node, Ref, Target

aten = torch.ops.aten

_UNARY: Mapping[Target, Callable[..., Tensor]] = {
    aten.relu.default: aten.relu_.default,
    aten.sigmoid.default: aten.sigmoid_.default,
    aten.silu.default: aten.silu_.default,
    aten.hardswish.default: aten.hardswish_.default,
    aten.hardsigmoid.default: aten.hardsigmoid_.default,
    aten.hardtanh.default: aten.hardtanh_.default,
    aten.clamp.default: aten.clamp_.default,
}
_COMMUTATIVE: Mapping[Target, Callable[..., Tensor]] = {
    aten.add.Tensor: aten.add_.Tensor,
    aten.mul.Tensor: aten.mul_.Tensor,
}
_PADS = frozenset({aten.constant_pad_nd.default, aten.pad.default})
_CHANNELS_BEHIND = (0, 0, 0, 0, 0)
"""Padding of four axes, last axis first, up to the number of channels put behind those there are."""


def overwriting(space: Workspace, node: Node) -> bool:
    """The operation's in-place twin."""
    in_place = _UNARY.get(node.target) or _COMMUTATIVE.get(node.target)
    refs = [argument.name for argument in node.args if isinstance(argument, Ref)]
    if in_place is None or node.kwargs or len(set(refs)) != len(refs):
        return False
    place = next((name for name in refs if _fits(space, name, node)), None)
    if place is None:
        return False
    others = tuple(argument for argument in node.args if argument != Ref(place))
    space.emit(in_place, (Ref(place), *others), node.name)
    return True


def padded_addition(space: Workspace, node: Node) -> bool:
    """x + pad(y), where y is padded with channels of zeros: y is added to the channels it has, and no zero moves.

    PyramidNet's shortcuts are of that kind. The padding itself emits nothing; the addition does both.
    """
    if node.target in _PADS:
        reader = space.only_reader(node)
        return reader is not None and _padded(space, reader) is not None
    parts = _padded(space, node)
    if parts is None:
        return False
    space.emit(_add_to_first_channels_, parts, node.name)
    return True


def _padded(space: Workspace, node: Node) -> tuple[Ref, Argument] | None:
    """x, which may be overwritten, and y where `node` is x + pad(y), else None."""
    if node.target is not aten.add.Tensor or node.kwargs or len(node.args) != 2:
        return None
    for x, padded in (node.args, node.args[::-1]):
        pad = space.makers.get(padded.name) if isinstance(padded, Ref) else None
        if pad is None or space.only_reader(pad) is not node or not _pads_channels_behind(pad):
            continue
        if isinstance(x, Ref) and x != padded and _fits(space, x.name, node):
            return x, pad.args[0]
    return None


def _fits(space: Workspace, name: str, node: Node) -> bool:
    return space.may_overwrite(name) and space.shapes[name] == space.shapes[node.name]


def _pads_channels_behind(node: Node) -> bool:
    """Whether the node puts channels of zeros behind those of a batch of images."""
    padding = node.args[1] if node.target in _PADS else None
    zeros = all(argument in (None, "constant", 0) for argument in node.args[2:]) and not node.kwargs
    return isinstance(padding, tuple) and len(padding) == 6 and padding[:5] == _CHANNELS_BEHIND and zeros


def _add_to_first_channels_(x: Tensor, y: Tensor) -> Tensor:
    x.narrow(1, 0, y.shape[1]).add_(y)
    return x
