"""Activation functions."""

import torch

from micronet.onnx_writer.call import Call, Writer, Writers
from micronet.onnx_writer.elementwise import unary

aten = torch.ops.aten


def _clip(low: int | None, high: int | None) -> Writer:
    """Clip between the numbers at two places of the signature; None where an end is never given."""

    def writer(call: Call) -> str:
        ends = [
            "" if index is None or call.argument(index) is None else call.draft.number(call.number(index))
            for index in (low, high)
        ]
        return call.emit("Clip", call.value(0), *ends)

    return writer


def _relu6(call: Call) -> str:
    return call.emit("Clip", call.value(0), call.draft.number(0.0), call.draft.number(6.0))


def _silu(call: Call) -> str:
    """X * sigmoid(x), which reading gives its name back; Swish is younger than what most runtimes know."""
    x = call.value(0)
    return call.emit("Mul", x, call.emit("Sigmoid", x))


def _hard_sigmoid(call: Call) -> str:
    return call.emit("HardSigmoid", call.value(0), alpha=1 / 6, beta=0.5)


def _leaky_relu(call: Call) -> str:
    return call.emit("LeakyRelu", call.value(0), alpha=float(call.number(1)))


def _prelu(call: Call) -> str:
    """One slope, or one per channel, which ONNX broadcasts from the right."""
    slope, rank = call.value(1), len(call.sizes(0))
    shape = (call.fixed(1, 0), *(1,) * (rank - 2)) if rank > 2 else (call.fixed(1, 0),)
    return call.emit("PRelu", call.value(0), call.emit("Reshape", slope, call.draft.vector(shape)))


def _elu(call: Call) -> str:
    """Elu; with a factor on the result it is Selu with constants of its own."""
    alpha, scale = float(call.number(1)), float(call.number(2))
    if call.number(3) != 1:
        raise call.refuse("an ELU with a factor on its input.")
    if scale == 1:
        return call.emit("Elu", call.value(0), alpha=alpha)
    return call.emit("Selu", call.value(0), alpha=alpha, gamma=scale)


def _softplus(call: Call) -> str:
    if (call.number(1), call.number(2)) != (1, 20):
        raise call.refuse("a softplus with a factor or a threshold.")
    return call.emit("Softplus", call.value(0))


def _gelu(call: Call) -> str:
    return call.emit("Gelu", call.value(0), approximate=str(call.argument(1)))


def _softmax(op: str) -> Writer:
    def writer(call: Call) -> str:
        if call.argument(2) not in (None, torch.float32):
            raise call.refuse("a softmax in another type than float32.")
        return call.emit(op, call.value(0), axis=call.axis(1))

    return writer


WRITERS: Writers = {
    aten.relu.default: unary("Relu"),
    aten.sigmoid.default: unary("Sigmoid"),
    aten.tanh.default: unary("Tanh"),
    aten.hardswish.default: unary("HardSwish"),
    aten.mish.default: unary("Mish"),
    aten.selu.default: unary("Selu"),
    aten.hardtanh.default: _clip(1, 2),
    aten.clamp.default: _clip(1, 2),
    aten.clamp_min.default: _clip(1, None),
    aten.clamp_max.default: _clip(None, 1),
    aten.relu6.default: _relu6,
    aten.silu.default: _silu,
    aten.hardsigmoid.default: _hard_sigmoid,
    aten.leaky_relu.default: _leaky_relu,
    aten.prelu.default: _prelu,
    aten.elu.default: _elu,
    aten.softplus.default: _softplus,
    aten.gelu.default: _gelu,
    aten.softmax.int: _softmax("Softmax"),
    aten.log_softmax.int: _softmax("LogSoftmax"),
}
