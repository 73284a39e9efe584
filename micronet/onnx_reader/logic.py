"""Comparisons, signs and logic, on constants and shapes only: exporters write them around shapes, and masks."""

from collections.abc import Mapping
from dataclasses import replace

import torch

from micronet.graph.ir import Target
from micronet.onnx_reader.call import Call, Importer, Importers
from micronet.onnx_reader.elementwise import add, multiply, no_batch
from micronet.onnx_reader.targets import FOLD_ONLY
from micronet.onnx_reader.values import Floating, Known, Made, broadcast, carries_batch, literal, once, readable


def _known(call: Call, index: int) -> Known:
    value = call.known(index)
    if value is None:
        raise call.corrupt(f"operand {index} is missing.")
    return value


def _equal(call: Call) -> Floating:
    """Equal. A size that depends on N is compared only with what no size can be, 0 and below."""
    a, b = _known(call, 0), _known(call, 1)
    for one, other in ((a, b), (b, a)):
        if carries_batch(one) and bool((other.tensor > 0).any()):
            no_batch(call, one)
    return call.build.fold(FOLD_ONLY["equal"], a, b)


def _comparison(target: Target) -> Importer:
    def importer(call: Call) -> Floating:
        a, b = _known(call, 0), _known(call, 1)
        no_batch(call, a, b)
        return call.build.fold(target, a, b)

    return importer


def _boolean(target: Target, count: int) -> Importer:
    def importer(call: Call) -> Floating:
        operands = [_known(call, index) for index in range(count)]
        if any(operand.tensor.dtype != torch.bool for operand in operands):
            raise call.corrupt("an operand is no tensor of booleans.")
        return call.build.fold(target, *operands)

    return importer


def _remainder(call: Call) -> Floating:
    """Mod. N times k modulo c is read only where it is 0 for every N."""
    a, b = _known(call, 0), _known(call, 1)
    if not b.tensor.is_floating_point() and bool((b.tensor == 0).any()):
        raise call.corrupt("an integer is divided by zero.")
    result = call.build.fold(FOLD_ONLY["fmod" if call.whole("fmod", 0) else "remainder"], a, b)
    if carries_batch(b) or (carries_batch(a) and bool((result.tensor != 0).any())):
        no_batch(call, a, b)
    return result


def _where(call: Call) -> Floating:
    condition, a, b = call.tensor(0), call.tensor(1), call.tensor(2)
    if not isinstance(condition, Known) or (isinstance(a, Known) and isinstance(b, Known)):
        condition = _known(call, 0)
    if condition.tensor.dtype != torch.bool:
        raise call.corrupt("the condition is no tensor of booleans.")
    if isinstance(a, Known) and isinstance(b, Known):
        return call.build.fold(FOLD_ONLY["where"], condition, a, b)
    return _chosen(call, condition, a, b)


def _chosen(call: Call, condition: Known, a: Floating, b: Floating) -> Floating:
    """By a constant among values: each times the condition as ones and zeros, and their sum, as modules have it.

    Where the condition is the same everywhere, one of the values is the result.
    """
    values = broadcast(a.shape, b.shape)
    shape = None if values is None else broadcast(condition.shape, values)
    if shape is None:
        shapes = ", ".join(readable(value.shape) for value in (condition, a, b))
        raise call.corrupt(f"shapes {shapes} do not fit together.")
    mask = replace(condition, tensor=once(condition.tensor))
    for always, value in ((mask.tensor.all(), a), ((~mask.tensor).all(), b)):
        if bool(always) and value.shape == shape:
            return value
    terms: list[Floating] = []
    for holds, value in ((True, a), (False, b)):
        chosen = value if isinstance(value, Known) else literal(torch.tensor(1.0))
        pair = (chosen, literal(torch.tensor(0.0)))
        table = call.build.fold(FOLD_ONLY["where"], mask, *(pair if holds else pair[::-1]))
        if isinstance(value, Made):
            terms.append(multiply(call, value, replace(table, name=f"{condition.name}.{holds}")))
        elif bool(table.tensor.any()):
            terms.append(replace(table, name=f"{condition.name}.numbers"))
    result = terms[0] if len(terms) == 1 else add(call, *terms)
    if result.shape != shape:
        raise call.unsupported("a mask that is larger than the values it chooses among.")
    return result


_COMPARISONS: Mapping[str, str] = {
    "Greater": "greater",
    "GreaterOrEqual": "greater_or_equal",
    "Less": "less",
    "LessOrEqual": "less_or_equal",
}


def _sign(call: Call) -> Floating:
    x = _known(call, 0)
    no_batch(call, x)
    return call.build.fold(FOLD_ONLY["sign"], x)


IMPORTERS: Importers = {
    "Equal": _equal,
    "Where": _where,
    "Sign": _sign,
    "Mod": _remainder,
    "And": _boolean(FOLD_ONLY["and"], 2),
    "Or": _boolean(FOLD_ONLY["or"], 2),
    "Not": _boolean(FOLD_ONLY["not"], 1),
    **{op: _comparison(FOLD_ONLY[name]) for op, name in _COMPARISONS.items()},
}
