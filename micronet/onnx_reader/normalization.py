"""Normalizations, and Dropout, which does nothing but in training."""

from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.elementwise import add, idle, multiply
from micronet.onnx_reader.hints import TRAINED
from micronet.onnx_reader.shapes import axes_in
from micronet.onnx_reader.values import Floating, Known

_CUDNN = True
"""Whether a batch norm may be cuDNN's where there is CUDA, as one captured from a module may; nothing on a CPU."""


def _given(value: Floating | None, number: float) -> Floating | None:
    """`value`, or None where it is `number` throughout, as an exporter writes what ONNX demands and nobody trained."""
    return None if value is not None and idle(value, number) else value


def _batch_norm(call: Call) -> Floating:
    """BatchNormalization with the statistics of training. Before opset 14 more outputs than one ask for the batch's."""
    call.ignore("momentum")
    learning = call.output_count > 1 if call.opset < 14 else bool(call.whole("training_mode", 0))
    if learning:
        raise call.unsupported(f"a batch norm in training mode; {TRAINED}.")
    if call.whole("spatial", 1) != 1:
        raise call.unsupported("a batch norm per pixel.")
    x, scale, bias, mean, variance = (call.tensor(index) for index in range(5))
    epsilon = call.real("epsilon", 1e-5)
    return call.emit("batch_norm", x, scale, bias, mean, variance, False, 0.1, epsilon, _CUDNN)


def _layer_norm(call: Call) -> Floating:
    """LayerNormalization over the axes from `axis` on."""
    x, operands = call.tensor(0), (call.tensor(1), call.optional(2))
    call.ignore("stash_type")
    (axis,) = axes_in(call, (call.whole("axis", -1),), len(x.shape))
    shape = x.shape[axis:]
    epsilon = call.real("epsilon", 1e-5)
    own = all(operand is None or operand.shape == shape for operand in operands)
    scale, bias = _given(operands[0], 1.0), _given(operands[1], 0.0)
    if own:
        return call.emit("layer_norm", x, shape, scale, bias, epsilon, False)
    plain = call.emit("layer_norm", x, shape, None, None, epsilon, False)
    scaled = plain if scale is None else multiply(call, plain, scale)
    return scaled if bias is None else add(call, scaled, bias)


def _group_norm(call: Call) -> Floating:
    """GroupNormalization; before opset 21 scale and bias were per group, and are spread over its channels here."""
    x, scale, bias = call.tensor(0), call.tensor(1), call.tensor(2)
    call.ignore("stash_type")
    groups, channels = call.whole("num_groups", 0), _channels(call, x)
    if groups < 1 or channels % groups:
        raise call.corrupt(f"{groups} groups do not divide {channels} channels.")
    if call.opset < 21 and channels != groups:
        raise call.unsupported("one scale per group; files of opset 21 on have one per channel.")
    given = _given(scale, 1.0), _given(bias, 0.0)
    return call.emit("group_norm", x, groups, *given, call.real("epsilon", 1e-5), False)


def _instance_norm(call: Call) -> Floating:
    """InstanceNormalization: as many groups as channels."""
    x, scale, bias = call.tensor(0), _given(call.tensor(1), 1.0), _given(call.tensor(2), 0.0)
    return call.emit("group_norm", x, _channels(call, x), scale, bias, call.real("epsilon", 1e-5), False)


def _channels(call: Call, x: Floating) -> int:
    """Size of the second axis. CorruptFile where there is none."""
    if len(x.shape) < 2:
        raise call.corrupt(f"a value of {len(x.shape)} dimensions has no channels; (N, C, ...) has.")
    return x.shape[1]


def _rms_norm(call: Call) -> Floating:
    """RMSNormalization: x / sqrt(mean(x^2) + epsilon) * scale, over the axes from `axis` on."""
    x, scale = call.tensor(0), _given(call.tensor(1), 1.0)
    call.ignore("stash_type")
    rank = len(x.shape)
    (axis,) = axes_in(call, (call.whole("axis", -1),), rank)
    squares = call.emit("mean", call.emit("pow_number", x, 2.0), tuple(range(axis, rank)), True)
    size = call.emit("sqrt", call.emit("add", squares, call.real("epsilon", 1e-5)))
    plain = call.emit("mul", x, call.emit("reciprocal", size))
    return plain if scale is None else multiply(call, plain, scale)


def _dropout(call: Call) -> Floating:
    """Dropout outside training. Its ratio, an attribute before opset 12, is for training the graph."""
    call.ignore("seed")
    x, ratio, default, training = call.tensor(0), call.number(1), call.real("ratio", 0.5), call.known(2)
    if training is not None and bool(training.tensor.any()):
        raise call.unsupported(f"a dropout in training mode; {TRAINED}.")
    ratio = default if ratio is None else ratio
    if not 0 <= ratio < 1:
        raise call.corrupt(f"a ratio of {ratio}; ONNX has them from 0 to below 1.")
    return x if isinstance(x, Known) or ratio == 0 else call.emit("dropout", x, ratio, False)


IMPORTERS: Importers = {
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "RMSNormalization": _rms_norm,
    "Dropout": _dropout,
}
