"""Arithmetic and functions of one element, with ONNX's broadcasting."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import torch

from micronet.errors import OnnxUnsupportedFeature
from micronet.onnx_reader.call import Call, Importer, Importers
from micronet.onnx_reader.kinds import converted
from micronet.onnx_reader.targets import FOLD_ONLY, TARGETS
from micronet.onnx_reader.values import Floating, Known, Made, broadcast, carries_batch, literal, once
from micronet.shown import show


def number(value: Floating, other: Floating) -> float | None:
    """The number `value` is, if it is one that no training set and that does not widen the shape of `other`."""
    if not isinstance(value, Known) or value.counted or isinstance(other, Known):
        return None
    tensor = value.tensor
    if tensor.numel() == 0 or not (tensor.numel() == 1 or not any(tensor.stride())):
        return None
    if broadcast(value.shape, other.shape) != other.shape or not tensor.is_floating_point():
        return None
    result = float(tensor.flatten()[0].item())
    if not math.isfinite(result):
        raise OnnxUnsupportedFeature(f"Constant {show(value.name)} is {result}; arithmetic with it is not finite.")
    return result


def idle(value: Floating, number: float) -> bool:
    """Whether `value` is a tensor of `number` only, which no training set: an exporter had to write one."""
    if not isinstance(value, Known) or value.trained or not value.tensor.is_floating_point() or not value.shape:
        return False
    return bool((once(value.tensor) == number).all())


def _without(a: Floating, b: Floating, number: float) -> Floating | None:
    """Of two operands the activations, where the other is `number` throughout, which leaves them as they are."""
    for x, other in ((a, b), (b, a)):
        fits = isinstance(x, Made) and broadcast(x.shape, other.shape) == x.shape
        if fits and idle(other, number):
            return x
    return None


Pair = Callable[[Call, Floating, Floating], Floating]


def _numbers(a: Floating, b: Floating) -> tuple[float | None, float | None]:
    return number(a, b), number(b, a)


def add(call: Call, a: Floating, b: Floating) -> Floating:
    """A + b; a number comes second. Zeros that a group norm without shift is exported with are left out."""
    if (alone := _without(a, b, 0.0)) is not None:
        return alone
    first, second = _numbers(a, b)
    if first is not None:
        return call.emit("add", b, first)
    return call.emit("add", a, b if second is None else second)


def subtract(call: Call, a: Floating, b: Floating) -> Floating:
    """A - b."""
    first, second = _numbers(a, b)
    if first is not None:
        return call.emit("rsub", b, first)
    return call.emit("sub", a, b if second is None else second)


def multiply(call: Call, a: Floating, b: Floating) -> Floating:
    """A * b; a number comes second. Ones that a group norm without scale is exported with are left out."""
    if (alone := _without(a, b, 1.0)) is not None:
        return alone
    first, second = _numbers(a, b)
    if first is not None:
        return call.emit("mul", b, first)
    return call.emit("mul", a, b if second is None else second)


def divide(call: Call, a: Floating, b: Floating) -> Floating:
    """A / b; integers are divided towards zero, as ONNX says."""
    if isinstance(b, Known) and not b.tensor.is_floating_point():
        if bool((b.tensor == 0).any()):
            raise call.corrupt("an integer is divided by zero.")
        if isinstance(a, Known) and _overflows(a, b):
            raise call.corrupt("the least integer is divided by -1, which no integer is.")
        return call.build.fold(FOLD_ONLY["divide_integers"], a, b, rounding_mode="trunc")
    first, second = _numbers(a, b)
    if first is not None:
        return call.emit("reciprocal", b) if first == 1 else call.emit("div", first, b)
    return call.emit("div", a, b if second is None else second)


def _overflows(a: Known, b: Known) -> bool:
    """Whether a quotient is 2^63, on which processors stop. Any such pair counts, wherever its two stand."""
    return a.tensor.dtype == torch.int64 and bool((a.tensor == -(2**63)).any()) and bool((b.tensor == -1).any())


def power(call: Call, a: Floating, b: Floating) -> Floating:
    """A to the power b; the result has the type of a."""
    if isinstance(a, Known) and isinstance(b, Known):
        no_batch(call, a, b)
        result = call.build.fold(TARGETS["pow"], a, b)
        return replace(result, tensor=converted(result.tensor, a.kind, call.what), kind=a.kind)
    if isinstance(b, Known) and not b.tensor.is_floating_point():
        b = Known(b.tensor.float(), b.name, b.counted, trained=b.trained)
    first, second = _numbers(a, b)
    if first is not None:
        return call.emit("number_pow", first, b)
    return call.emit("pow", a, b) if second is None else call.emit("pow_number", a, second)


def no_batch(call: Call, *values: Floating) -> None:
    """OnnxUnsupportedFeature if a constant depends on N: how many images there are may not change what is computed."""
    if any(isinstance(value, Known) and carries_batch(value) for value in values):
        raise call.unsupported("the batch size decides what is computed.")


def maximum(call: Call, a: Floating, b: Floating) -> Floating:
    """The larger of two."""
    no_batch(call, a, b)
    first, second = _numbers(a, b)
    if first is not None:
        return call.emit("clamp", b, first, None)
    return call.emit("maximum", a, b) if second is None else call.emit("clamp", a, second, None)


def minimum(call: Call, a: Floating, b: Floating) -> Floating:
    """The smaller of two."""
    no_batch(call, a, b)
    first, second = _numbers(a, b)
    if first is not None:
        return call.emit("clamp", b, None, first)
    return call.emit("minimum", a, b) if second is None else call.emit("clamp", a, None, second)


def _pair(rule: Pair) -> Importer:
    def importer(call: Call) -> Floating:
        return rule(call, call.tensor(0), call.tensor(1))

    return importer


def _several(rule: Pair) -> Importer:
    def importer(call: Call) -> Floating:
        return reduce(lambda a, b: rule(call, a, b), call.tensors())

    return importer


def _mean(call: Call) -> Floating:
    values = call.tensors()
    total = reduce(lambda a, b: add(call, a, b), values)
    return total if len(values) == 1 else divide(call, total, literal(torch.tensor(float(len(values)))))


def unary(name: str) -> Importer:
    """The importer of a function of one operand that has no options."""

    def importer(call: Call) -> Floating:
        return call.emit(name, call.tensor(0))

    return importer


IMPORTERS: Importers = {
    "Add": _pair(add),
    "Sub": _pair(subtract),
    "Mul": _pair(multiply),
    "Div": _pair(divide),
    "Pow": _pair(power),
    "Max": _several(maximum),
    "Min": _several(minimum),
    "Sum": _several(add),
    "Mean": _mean,
    "Abs": unary("abs"),
    "Neg": unary("neg"),
    "Exp": unary("exp"),
    "Log": unary("log"),
    "Sqrt": unary("sqrt"),
    "Erf": unary("erf"),
    "Sin": unary("sin"),
    "Cos": unary("cos"),
    "Reciprocal": unary("reciprocal"),
}
