"""Quantizers of activations: QuantizeLinear, a Clip of the integers where their type is wider, DequantizeLinear."""

import numpy as np
import torch
from onnx import helper

from micronet.onnx_reader.kinds import integers_of
from micronet.onnx_writer.call import Call, Writers
from micronet.onnx_writer.stored import integer_type

aten = torch.ops.aten

MAX_BITS = 16
"""Widest integers QuantizeLinear makes."""


def _per_tensor(call: Call) -> str:
    """A zero point of 0 is written for the integers' type alone: where DequantizeLinear has one, too, and what it gives
    is only moved, onnxruntime 1.32 takes 8 bits with a sign for such without one, and refuses the file."""
    kind, _ = _type(call, 3)
    scale = call.draft.shared("scale", np.array(call.number(1), dtype=np.float32))
    zero_point = call.draft.shared("zero_point", np.array(call.whole(2), dtype=kind))
    grid = [scale, zero_point]
    return _quantizer(call, grid, grid if call.whole(2) else grid[:1], (3, 4), {})


def _per_channel(call: Call) -> str:
    """Scales and zero points are parameters; zeros that nobody stored are left out."""
    kind, _ = _type(call, 4)
    zero_points, axis = call.name(2), call.axis(3)
    weight = call.draft.graph.weights.get(zero_points)
    if weight is None or call.name(1) not in call.draft.graph.weights:
        raise call.refuse("a quantizer whose scales or zero points are computed.")
    parameters = [call.value(1)]
    if zero_points not in call.draft.graph.literals:
        parameters.append(call.draft.initializer(zero_points, weight.numpy().astype(kind)))
    elif bool(weight.any()):
        raise call.refuse("a quantizer with a zero point that no training set.")
    return _quantizer(call, parameters, parameters, (4, 5), {"axis": axis})


def _quantizer(call: Call, there: list[str], back: list[str], ends: tuple[int, int], axis: dict[str, int]) -> str:
    """To integers by the scale and zero point `there`, and `back` by these.

    ONNX has no Clip of 16-bit integers that runtimes know, so these are clipped as 32-bit ones.
    """
    low, high = (call.whole(end) for end in ends)
    kind, bits = _type(call, ends[0])
    number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    typed = {} if len(there) > 1 else {"output_dtype": number}
    integers = call.emit("QuantizeLinear", call.value(0), *there, **axis, **typed)
    if (low, high) != integers_of(bits, signed=low < 0):
        wide = kind if bits == 8 else np.int32
        if wide is not kind:
            integers = call.emit("Cast", integers, to=helper.np_dtype_to_tensor_dtype(np.dtype(wide)))
        integers = call.emit("Clip", integers, *(call.draft.number(end, wide) for end in (low, high)))
        if wide is not kind:
            integers = call.emit("Cast", integers, to=number)
    return call.emit("DequantizeLinear", integers, *back, **axis)


def _type(call: Call, first: int) -> tuple[type[np.generic], int]:
    """The integer type of a quantizer whose ends begin at argument `first`, and its bits."""
    low, high = call.whole(first), call.whole(first + 1)
    kind, bits = integer_type(low, high)
    if bits > MAX_BITS:
        raise call.refuse(f"values of {(high - low).bit_length()} bits; QuantizeLinear makes at most {MAX_BITS}.")
    return kind, bits


WRITERS: Writers = {
    aten.fake_quantize_per_tensor_affine.default: _per_tensor,
    aten.fake_quantize_per_channel_affine.default: _per_channel,
}
