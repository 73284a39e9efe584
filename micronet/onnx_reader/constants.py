"""Constants and conversions: Constant, ConstantOfShape, Range, Identity, Cast."""

import math
from dataclasses import replace

import torch
from onnx import TensorProto

from micronet.errors import FileTooLarge
from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.elementwise import no_batch
from micronet.onnx_reader.indexing import MAX_INDICES
from micronet.onnx_reader.kinds import converted
from micronet.onnx_reader.quantization import bits_in, moved
from micronet.onnx_reader.shapes import expand
from micronet.onnx_reader.targets import TARGETS
from micronet.onnx_reader.tensors import BITS, FLOATS, type_name
from micronet.onnx_reader.values import (
    BATCH,
    Floating,
    Known,
    Quantized,
    Value,
    carries_batch,
    check_shape,
    literal,
    once,
)

_CAST_TO = frozenset(BITS) - {TensorProto.INT4, TensorProto.UINT4}

_HOLD_SIZES = (TensorProto.INT64, TensorProto.INT32, TensorProto.UINT64, TensorProto.UINT32, TensorProto.BOOL)
"""Types that hold any size there is, or whether there is one."""


def _constant(call: Call) -> Known:
    """Constant. One of several elements counts as a parameter, a single number does not."""
    tensor, kind = call.tensor_attribute("value") or _numbers(call)
    return Known(tensor, call.build.value_name, counted=tensor.numel() > 1, kind=kind)


def _numbers(call: Call) -> tuple[torch.Tensor, int]:
    """The value of a Constant that is written down as numbers, and its element type."""
    if call.has("value_ints"):
        return torch.tensor(call.ints("value_ints", MAX_INDICES) or (), dtype=torch.int64), TensorProto.INT64
    if call.has("value_floats"):
        return torch.tensor(call.floats("value_floats", MAX_INDICES) or (), dtype=torch.float32), TensorProto.FLOAT
    if call.has("value_int"):
        return torch.tensor(call.whole("value_int", 0)), TensorProto.INT64
    if call.has("value_float"):
        return torch.tensor(call.real("value_float", 0.0)), TensorProto.FLOAT
    raise call.unsupported("a constant that is neither a dense tensor nor numbers.")


def _constant_of_shape(call: Call) -> Floating:
    """ConstantOfShape: one number spread over a shape, which takes no memory."""
    shape = call.integers(0)
    tensor, kind = call.tensor_attribute("value") or (torch.zeros(1), TensorProto.FLOAT)
    if shape is None or min(shape, default=0) < 0 or tensor.numel() != 1:
        raise call.corrupt("its shape is missing or negative, or its value is no single number.")
    check_shape(shape, call.what)
    one = Known(tensor.reshape(()), call.build.value_name, counted=False, kind=kind)
    return expand(call, one, shape)


def _range(call: Call) -> Known:
    """Range from one constant to another: indices, so its numbers are no parameters unless they become weights."""
    ends = [call.known(index) for index in range(3)]
    if any(end is None or end.tensor.numel() != 1 for end in ends):
        raise call.corrupt("start, limit and delta must be single numbers.")
    given = [end for end in ends if end is not None]
    no_batch(call, *given)
    if len({TensorProto.FLOAT if end.kind in FLOATS else end.kind for end in given}) != 1:
        raise call.corrupt("start, limit and delta must be of one type.")
    start, limit, delta = (end.tensor.item() for end in given)
    if not all(map(math.isfinite, (start, limit, delta))) or delta == 0:
        raise call.corrupt("delta is 0, or an end is not finite.")
    count = max(math.ceil((limit - start) / delta), 0)
    if count > MAX_INDICES:
        raise FileTooLarge(f"{call.what} makes {count:,} numbers; at most {MAX_INDICES:,} are allowed.")
    dtype = torch.float32 if given[0].kind in FLOATS else torch.int64
    first, step = (literal(end.tensor.reshape(()).to(dtype)) for end in (given[0], given[2]))
    steps = call.build.fold(TARGETS["mul"], literal(torch.arange(count, dtype=dtype)), step)
    return replace(call.build.fold(TARGETS["add"], steps, first), kind=given[0].kind)


def _identity(call: Call) -> Value:
    value = call.value(0)
    if value is None:
        raise call.corrupt("operand 0 is missing.")
    return value


def _cast(call: Call) -> Value:
    """Cast. Between floats nothing happens, since all are float32 here; constants also become integers, and quantized
    values may lie in any type that holds them."""
    call.ignore("saturate", "round_mode")
    x, kind = call.value(0), call.whole("to", 0)
    return moved(call, x, kind) if isinstance(x, Quantized) else _converted(call, call.tensor(0), kind)


def _cast_like(call: Call) -> Floating:
    call.ignore("saturate", "round_mode")
    x, like = call.tensor(0), call.tensor(1)
    return _converted(call, x, like.kind if isinstance(like, Known) else TensorProto.FLOAT)


def _converted(call: Call, x: Floating, kind: int) -> Floating:
    from_float = not isinstance(x, Known) or x.tensor.is_floating_point()
    if kind in FLOATS and from_float:
        return x
    if not isinstance(x, Known):
        raise call.unsupported(f"activations cast to {type_name(kind)}.")
    if kind not in _CAST_TO:
        raise call.unsupported(f"constants cast to {type_name(kind)}.")
    values = converted(once(x.tensor), kind, call.what)
    if carries_batch(x):
        if kind not in _HOLD_SIZES:
            raise call.unsupported(f"the batch size as {type_name(kind)}.")
        if kind != TensorProto.BOOL:
            values = torch.where(once(x.tensor) % BATCH == 0, once(x.tensor), values)
    return Known(values.expand(x.shape), x.name, x.counted, kind, bits=bits_in(x, kind), trained=x.trained)


IMPORTERS: Importers = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Identity": _identity,
    "Cast": _cast,
    "CastLike": _cast_like,
}
