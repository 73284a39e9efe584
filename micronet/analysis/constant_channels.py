"""Channels that carry the same number for every image, everywhere."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch._ops import OpOverload

from micronet.analysis.dot_products import LAYERS
from micronet.analysis.operations import Call
from micronet.analysis.parameters import scale_and_shift
from micronet.analysis.shapes import Shapes
from micronet.graph.geometry import geometry, per_axis
from micronet.graph.ir import Argument, Graph, Node, Ref, Target

aten = torch.ops.aten

VARIES = math.nan


def constant_channels(graph: Graph, known: Shapes) -> dict[str, Tensor]:
    """The constant of each channel (axis 1) of the values that have any, float64 (channels,); NaN where it varies.

    A filter whose weights are all zero gives its bias, a batch norm of scale 0 its shift, and a function of constants
    is one. What a window makes of a constant is that constant, where no padding of another value comes in. Values
    that vary are taken to be finite: zero times any of them is zero. `known` are the shapes of `graph`.
    """
    found: dict[str, Tensor] = {}
    for node in graph.nodes:
        rule = _RULES.get(node.target)
        shape = known.of.get(node.name, ())
        if rule is None or len(shape) < 2:
            continue
        values = rule(_Operands(Call(graph, known, node), found))
        if values is not None and len(values) == shape[1] and bool(values.isfinite().any()):
            found[node.name] = torch.where(values.isfinite(), values, VARIES)
    return found


class _Operands:
    """A node's operands, channel by channel."""

    def __init__(self, call: Call, found: Mapping[str, Tensor]) -> None:
        self.call, self._found = call, found
        self.node = call.node
        self.channels = call.shapes[self.node.name][1]

    def first(self) -> Tensor | None:
        """Constants of the first operand, or None where all its channels vary."""
        source = self.node.args[0]
        return self._found.get(source.name) if isinstance(source, Ref) else None

    def constants(self, argument: Argument) -> Tensor:
        """(channels,) of a value, a weight that is one number per channel, or a number."""
        if isinstance(argument, int | float):
            return torch.full((self.channels,), float(argument), dtype=torch.float64)
        varies = torch.full((self.channels,), VARIES, dtype=torch.float64)
        if not isinstance(argument, Ref):
            return varies
        weight = self.call.graph.weight(argument)
        if weight is not None:
            return per_channel(weight, len(self.call.shapes[self.node.name]), self.channels, varies)
        found = self._found.get(argument.name)
        same_axes = len(self.call.shapes.of.get(argument.name, ())) == len(self.call.shapes[self.node.name])
        return found if found is not None and same_axes and len(found) == self.channels else varies


def per_channel(weight: Tensor, axes: int, channels: int, otherwise: Tensor) -> Tensor:
    """What a weight, broadcast to a value of `axes` axes, is in each channel; `otherwise` where that is no number."""
    if weight.dim() > axes:
        return otherwise
    whole = weight.double().view(*[1] * (axes - weight.dim()), *weight.shape)
    if whole.shape[1] not in (1, channels) or whole.numel() != whole.shape[1]:
        return otherwise
    return whole.flatten().expand(channels)


def _layer(operands: _Operands) -> Tensor | None:
    """Filters of zeros give their bias. A channel's own filter sums a constant, where it sees no padding but zeros."""
    call, output = operands.call, operands.call.shapes[operands.node.name]
    weight, bias = call.weight(1), call.weight(2)
    if weight is None or (bias is None and call.argument(2) is not None) or len(weight) != output[1]:
        return None
    if len(output) != weight.dim():
        return None  # a fully connected layer along an axis that is not that of channels
    offset = torch.zeros(len(weight), dtype=torch.float64) if bias is None else bias.double()
    values = torch.where(weight.flatten(1).any(1), VARIES, offset)
    given = operands.first()
    how = geometry(call.node, weight.dim() - 2) if weight.dim() > 2 else None
    if given is not None and how is not None and how.groups == len(weight) == len(given):
        summed = given * weight.double().flatten(1).sum(1) + offset
        exact = (given == 0) | (not any(how.padding))
        values = torch.where(values.isnan() & exact, summed, values)
    return values


def _batch_norm(operands: _Operands) -> Tensor | None:
    graph, node = operands.call.graph, operands.node
    if any(isinstance(a, Ref) and a.name not in graph.weights for a in node.args[1:5]):
        return None
    scale, shift = (part.double() for part in scale_and_shift(graph, node))
    given = operands.first()
    varies = torch.full_like(scale, VARIES)
    return torch.where(scale == 0, shift, scale * (varies if given is None else given) + shift)


def _function(operands: _Operands) -> Tensor | None:
    """Of one value, element by element."""
    given, node = operands.first(), operands.node
    if given is None or sum(1 for _ in node.refs()) != 1:
        return None
    result = node.target(given, *node.args[1:], **node.kwargs)
    return torch.where(given.isnan(), VARIES, result) if isinstance(result, Tensor) else None


def _of_two(operands: _Operands) -> Tensor | None:
    one, other = (operands.constants(argument) for argument in operands.node.args[:2])
    result = operands.node.target(one, other, **operands.node.kwargs)
    return result if isinstance(result, Tensor) else None


def _product(operands: _Operands) -> Tensor | None:
    one, other = (operands.constants(argument) for argument in operands.node.args[:2])
    return torch.where((one == 0) | (other == 0), 0.0, one * other)


def _same(operands: _Operands) -> Tensor | None:
    return operands.first()


def _padded_average(operands: _Operands) -> Tensor | None:
    """Averages that count zeros of the padding are no constants, except of zeros."""
    given, call = operands.first(), operands.call
    if given is None or (not any(per_axis(call.argument(3), 2)) and call.argument(4) is False):
        return given if call.argument(6) is None else None
    return torch.where(given == 0, given, VARIES)


def _mean(operands: _Operands) -> Tensor | None:
    return operands.first() if over_positions(operands.node, len(operands.call.shape(0))) else None


def _flattened(operands: _Operands) -> Tensor | None:
    given, call = operands.first(), operands.call
    features = reshaped_features(call.shape(0), call.shapes[operands.node.name])
    return None if given is None or features is None else given.repeat_interleave(features)


def over_positions(node: Node, axes: int) -> bool:
    """Whether a reduction leaves images and channels apart."""
    reduced = node.args[1] if len(node.args) > 1 else None
    return isinstance(reduced, tuple) and all(isinstance(a, int) and a % axes > 1 for a in reduced) and bool(reduced)


def reshaped_features(before: tuple[int, ...], after: tuple[int, ...]) -> int | None:
    """How many of axis 1 a channel becomes: (N, C, H, W) to (N, C H W), or (N, C) to (N, C, 1, 1); None for others."""
    if len(before) < 2 or len(after) < 2 or before[0] != after[0] or math.prod(before) != math.prod(after):
        return None
    if math.prod(after[2:]) != 1 or before[1] == 0:
        return None
    return after[1] // before[1]


def _targets(packet: str) -> OpOverload:
    name, _, overload = packet.partition(".")
    target: OpOverload = getattr(getattr(aten, name), overload or "default")
    return target


FUNCTIONS: frozenset[Target] = frozenset(
    _targets(name)
    for name in (
        "relu",
        "relu6",
        "hardtanh",
        "clamp",
        "clamp_min",
        "clamp_max",
        "leaky_relu",
        "sigmoid",
        "silu",
        "hardsigmoid",
        "hardswish",
        "gelu",
        "elu",
        "selu",
        "mish",
        "softplus",
        "tanh",
        "abs",
        "neg",
    )
)
"""Of one value, element by element."""
OF_TWO: frozenset[Target] = frozenset(_targets(f"{name}.Tensor") for name in ("add", "sub", "mul", "div"))
"""Of two values, or of a value and a constant, element by element."""
SAME: frozenset[Target] = frozenset(
    _targets(name)
    for name in ("max_pool2d", "adaptive_avg_pool2d", "upsample_nearest2d", "contiguous", "clone", "alias", "detach")
) | {aten.dropout.default, aten.feature_dropout.default}
"""What gives a constant back."""
RESHAPING: frozenset[Target] = frozenset({aten.view.default, aten.reshape.default, aten.flatten.using_ints})

_RULES: Mapping[Target, Callable[[_Operands], Tensor | None]] = {
    **dict.fromkeys(LAYERS, _layer),
    aten.batch_norm.default: _batch_norm,
    **dict.fromkeys(FUNCTIONS, _function),
    **dict.fromkeys(OF_TWO, _of_two),
    aten.mul.Tensor: _product,
    **dict.fromkeys(SAME, _same),
    aten.avg_pool2d.default: _padded_average,
    aten.mean.dim: _mean,
    **dict.fromkeys(RESHAPING, _flattened),
}
