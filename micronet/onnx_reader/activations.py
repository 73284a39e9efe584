"""Activation functions, with ONNX's default constants."""

import math

import torch

from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.elementwise import add, maximum, minimum, multiply, no_batch, unary
from micronet.onnx_reader.quantization import RANGES, clipped, narrowed
from micronet.onnx_reader.shapes import axes_in, reshape
from micronet.onnx_reader.values import Floating, Known, Quantized, literal


def _clip(call: Call) -> Floating | Quantized:
    """Clip with both ends is hardtanh, with one end clamp; an end at or beyond float32's range is none.

    Between QuantizeLinear and DequantizeLinear it is part of the quantizer, on stored integers their width.
    """
    quantized = call.value(0)
    if isinstance(quantized, Quantized):
        return narrowed(call, quantized, call.number(1), call.number(2))
    if call.opset < 11:
        low: float | None = call.real("min", -math.inf)
        high: float | None = call.real("max", math.inf)
    else:
        low, high = call.number(1), call.number(2)
    x, limit = call.tensor(0), torch.finfo(torch.float32).max
    no_batch(call, x)
    if isinstance(x, Known) and x.kind in RANGES:
        return clipped(call, x, low, high)
    low = None if low is None or low <= -limit else low
    high = None if high is None or high >= limit else high
    if isinstance(x, Known) and not x.tensor.is_floating_point():
        if any(end is not None and not float(end).is_integer() for end in (low, high)):
            raise call.corrupt(f"the ends {low} and {high} are no integers.")
        low, high = (None if end is None else int(end) for end in (low, high))
    if low is None and high is None:
        return x
    if low is not None and high is not None:
        # torch refuses a range turned inside out; ONNX defines it as the upper end
        return call.emit("hardtanh", x, min(low, high), high)
    return call.emit("clamp", x, low, high)


def _leaky_relu(call: Call) -> Floating:
    return call.emit("leaky_relu", call.tensor(0), call.real("alpha", 0.01))


def _prelu(call: Call) -> Floating:
    """PRelu with one slope, or one per channel; other shapes as max(x, 0) + slope * min(x, 0)."""
    x, slope = call.tensor(0), call.tensor(1)
    elements = math.prod(slope.shape)
    rank = len(x.shape)
    sizes = (1,) * (rank - len(slope.shape)) + slope.shape
    per_channel = rank >= 2 and sizes == (1, x.shape[1], *(1,) * (rank - 2))
    if elements == 1 or per_channel:
        return call.emit("prelu", x, reshape(call, slope, (elements,)))
    zero = literal(torch.tensor(0.0))
    negative = multiply(call, minimum(call, x, zero), slope)
    if negative.shape != x.shape:
        raise call.corrupt("the slope does not broadcast to its operand.")
    return add(call, maximum(call, x, zero), negative)


def _elu(call: Call) -> Floating:
    return call.emit("elu", call.tensor(0), call.real("alpha", 1.0))


def _selu(call: Call) -> Floating:
    """Selu with the constants of the paper is aten.selu; others are refused."""
    alpha, gamma = call.real("alpha", 1.67326319217681884765625), call.real("gamma", 1.05070102214813232421875)
    if math.isclose(alpha, 1.67326319217681884765625, rel_tol=1e-6) and math.isclose(gamma, 1.0507010221, rel_tol=1e-6):
        return call.emit("selu", call.tensor(0))
    return call.emit("elu", call.tensor(0), alpha, gamma)


def _hard_sigmoid(call: Call) -> Floating:
    """HardSigmoid; aten's where alpha is 1/6 and beta 1/2, else clip(alpha * x + beta, 0, 1)."""
    x, alpha, beta = call.tensor(0), call.real("alpha", 0.2), call.real("beta", 0.5)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-5) and beta == 0.5:
        return call.emit("hardsigmoid", x)
    return call.emit("hardtanh", call.emit("add", call.emit("mul", x, alpha), beta), 0.0, 1.0)


def _swish(call: Call) -> Floating:
    x, alpha = call.tensor(0), call.real("alpha", 1.0)
    if alpha == 1:
        return call.emit("silu", x)
    return call.emit("mul", x, call.emit("sigmoid", call.emit("mul", x, alpha)))


def _gelu(call: Call) -> Floating:
    return call.emit("gelu", call.tensor(0), approximate=call.text("approximate", "none"))


def _softmax(call: Call) -> Floating:
    """Softmax over one axis; before opset 13 over all axes from `axis` on, taken together."""
    name = "softmax" if call.op == "Softmax" else "log_softmax"
    x = call.tensor(0)
    rank = len(x.shape)
    start = call.whole("axis", -1 if call.opset >= 13 else 1)
    (start,) = axes_in(call, (start,), rank) if rank else (0,)
    if call.opset >= 13 or start >= rank - 1:
        return call.emit(name, x, start)
    flat = call.emit("reshape", x, (*x.shape[:start], math.prod(x.shape[start:])))
    return call.emit("reshape", call.emit(name, flat, -1), x.shape)


IMPORTERS: Importers = {
    "Relu": unary("relu"),
    "Sigmoid": unary("sigmoid"),
    "Tanh": unary("tanh"),
    "HardSwish": unary("hardswish"),
    "Mish": unary("mish"),
    "Softplus": unary("softplus"),
    "Clip": _clip,
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Elu": _elu,
    "Selu": _selu,
    "HardSigmoid": _hard_sigmoid,
    "Swish": _swish,
    "Gelu": _gelu,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
}
