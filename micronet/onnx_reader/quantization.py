"""QuantizeLinear and DequantizeLinear: on constants a grid, on activations one fake quantization for the pair."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from onnx import TensorProto
from torch import Tensor

from micronet.graph.grid import Grid
from micronet.onnx_reader.call import Call, Importers
from micronet.onnx_reader.elementwise import no_batch
from micronet.onnx_reader.kinds import INTEGERS, converted, integers_of
from micronet.onnx_reader.targets import FOLD_ONLY
from micronet.onnx_reader.tensors import BITS, type_name
from micronet.onnx_reader.values import Floating, Known, Made, Quantized, literal

RANGES: Mapping[int, tuple[int, int, int]] = {
    kind: (BITS[kind], *INTEGERS[kind])
    for kind in (
        TensorProto.INT4,
        TensorProto.UINT4,
        TensorProto.INT8,
        TensorProto.UINT8,
        TensorProto.INT16,
        TensorProto.UINT16,
        TensorProto.INT32,
    )
}
"""Integer type -> bits, smallest and largest integer."""


def bits_holding(low: int, high: int, signed: bool) -> int:
    """Bits that each integer from `low` to `high` needs, in two's complement where `signed`."""
    return max((end if end >= 0 else ~end).bit_length() for end in (low, high)) + signed


def narrowed(call: Call, value: Quantized, low: float | None, high: float | None) -> Quantized:
    """The integers of `value` clipped: a quantizer of fewer bits than the type they lie in.

    Refused is a range that lies so far off zero that its integers need more bits than it has steps, and one that the
    zero point is not in: torch's quantizers all give zero.
    """
    least, most = _within(call, (value.low, value.high), low, high)
    if least >= most:
        raise call.unsupported("quantized values clipped to fewer than two.")
    needed = bits_holding(least, most, signed=least < 0)
    if needed != (most - least).bit_length():
        raise call.unsupported(f"quantized values clipped to {least}..{most}, which need {needed} bits each.")
    for zero in _integers(value.zero_point, value.scale).tolist():
        if not least <= zero <= most:
            raise call.unsupported(
                f"quantized values clipped to {least}..{most}, without their zero point {zero}. Clip to a range that "
                "holds it, and whatever must be narrower once it is dequantized."
            )
    return replace(value, low=least, high=most)


def clipped(call: Call, value: Known, low: float | None, high: float | None) -> Known:
    """The integers of a constant clipped: stored in the bits that the range takes in an integer type like theirs."""
    _, lowest, highest = _range(call, value.kind)
    least, most = _within(call, (lowest, highest), low, high)
    if not lowest <= most <= highest:
        raise call.unsupported(f"integers clipped to {most}, which {type_name(value.kind)} does not hold.")
    ends = (
        replace(literal(torch.tensor(end, dtype=value.tensor.dtype)), kind=value.kind)
        for end in (min(least, most), most)
    )
    found = call.build.fold(FOLD_ONLY["clamp_between"], value, *ends)  # inside out, it is the upper end, as in ONNX
    bits = max(bits_holding(min(least, most), most, signed=lowest < 0), 1)
    return replace(found, bits=bits if value.bits is None else min(bits, value.bits))


def _within(call: Call, ends: tuple[int, int], low: float | None, high: float | None) -> tuple[int, int]:
    """`ends` as far as `low` and `high` leave them."""
    if any(end is not None and not float(end).is_integer() for end in (low, high)):
        raise call.corrupt(f"the ends {low} and {high} are no integers.")
    least, most = ends
    return least if low is None else max(least, int(low)), most if high is None else min(most, int(high))


def moved(call: Call, value: Quantized, kind: int) -> Quantized:
    """The integers of `value` in another integer type, which must hold them all."""
    _, low, high = _range(call, kind)
    if value.low < low or value.high > high:
        raise call.unsupported(f"quantized values {value.low}..{value.high} do not all fit {type_name(kind)}.")
    return replace(value, kind=kind)


def bits_in(value: Known, kind: int) -> int | None:
    """The width of constant integers that is less than their type's, if integers of the type `kind` may have it too."""
    if value.bits is None or value.kind not in RANGES or kind not in RANGES:
        return None
    (_, lowest, _), (bits, low, _) = RANGES[value.kind], RANGES[kind]
    return value.bits if value.bits <= bits and (low < 0) == (lowest < 0) else None


def _range(call: Call, kind: int) -> tuple[int, int, int]:
    if kind not in RANGES:
        raise call.unsupported(f"quantization to {type_name(kind)}; integers of 4, 8, 16 or 32 bits are read.")
    return RANGES[kind]


def _scale(call: Call) -> Known:
    scale = call.known(1)
    positive = scale is not None and scale.tensor.is_floating_point() and bool((scale.tensor > 0).all())
    if scale is None or not positive or not bool(scale.tensor.isfinite().all()):
        raise call.corrupt("the scale is missing, or not positive and finite.")
    return scale


def _check_zero_point(call: Call, zero_point: Known | None, kind: int) -> None:
    """CorruptFile unless the zero point is of the type of the integers it belongs to: another would be cut to it."""
    if zero_point is not None and zero_point.kind != kind:
        raise call.corrupt(
            f"its zero point is of the type {type_name(zero_point.kind)} and its integers are of {type_name(kind)}; "
            "both must be of one."
        )


def _axis(call: Call, scale: Known, zero_point: Known | None, shape: tuple[int, ...]) -> int | None:
    """The axis that has a scale per index, None if there is one for all. Blocks are refused."""
    axis = call.whole("axis", 1)
    if call.whole("block_size", 0):
        raise call.unsupported("scales per block.")
    if zero_point is not None and zero_point.tensor.numel() != scale.tensor.numel():
        raise call.corrupt("scale and zero point differ in shape.")
    if scale.tensor.numel() == 1:
        return None
    if not -len(shape) <= axis < len(shape) or scale.shape != (shape[axis],):
        raise call.corrupt(f"{scale.tensor.numel()} scales do not match axis {axis} of its operand.")
    return axis % len(shape)


def _along(vector: Tensor, axis: int | None, rank: int) -> Tensor:
    """One number per index of `axis`, ready to broadcast."""
    return vector.reshape(()) if axis is None else vector.reshape([-1 if d == axis else 1 for d in range(rank)])


def _quantize(call: Call) -> Known | Quantized:
    """QuantizeLinear: round half to even of x / scale, plus the zero point, clamped to the integer type."""
    call.ignore("saturate")
    x, scale, zero_point = call.tensor(0), _scale(call), call.known(2)
    kind = call.whole("output_dtype", 0) or (TensorProto.UINT8 if zero_point is None else zero_point.kind)
    _check_zero_point(call, zero_point, kind)
    if call.whole("precision", 0) not in (0, TensorProto.FLOAT):
        raise call.unsupported("a division that is not in float32.")
    _, low, high = _range(call, kind)
    axis = _axis(call, scale, zero_point, x.shape)
    if isinstance(x, Made):
        return Quantized(x, scale, zero_point, kind, -1 if axis is None else axis, low, high)
    zero = 0 if zero_point is None else _along(zero_point.tensor.long(), axis, len(x.shape))
    steps = torch.round(x.tensor / _along(scale.tensor, axis, len(x.shape))).double() + zero
    return Known(converted(steps.clamp(low, high), kind, call.what), x.name, x.counted, kind, trained=x.trained)


def _dequantize(call: Call) -> Floating:
    """DequantizeLinear: (integer - zero point) * scale."""
    value, scale, zero_point = call.value(0), _scale(call), call.known(2)
    call.whole("output_dtype", 0)
    if isinstance(value, Known | Quantized):
        _check_zero_point(call, zero_point, value.kind)
    if isinstance(value, Quantized):
        return _fake_quantize(call, value, scale, zero_point)
    if not isinstance(value, Known) or value.tensor.is_floating_point():
        raise call.unsupported("it reads activations that QuantizeLinear did not make.")
    bits, low, high = _range(call, value.kind)
    if value.bits is not None:
        bits, (low, high) = value.bits, integers_of(value.bits, signed=low < 0)
    no_batch(call, value)
    if bool(((value.tensor < low) | (value.tensor > high)).any()):
        raise call.unsupported(f"integers outside of {low}..{high}, which their {bits} bits do not hold.")
    axis = _axis(call, scale, zero_point, value.shape)
    rank = len(value.shape)
    zero = torch.zeros_like(scale.tensor, dtype=torch.int64) if zero_point is None else zero_point.tensor.long()
    shifted = value.tensor.long() - _along(zero, axis, rank)
    result = shifted.float() * _along(scale.tensor, axis, rank)
    steps = tuple(float(step) for step in scale.tensor.reshape(-1).tolist())
    zeros = tuple(int(z) for z in zero.reshape(-1).tolist())
    grid = Grid(bits, low, high, steps, zeros, axis)
    return Known(result, value.name, value.counted, grid=grid, trained=value.trained)


def _fake_quantize(call: Call, value: Quantized, scale: Known, zero_point: Known | None) -> Floating:
    axis = _axis(call, scale, zero_point, value.source.shape)
    zero = _integers(zero_point, scale)
    if (
        (-1 if axis is None else axis) != value.axis
        or not torch.equal(scale.tensor.reshape(-1), value.scale.tensor.reshape(-1))
        or not torch.equal(zero, _integers(value.zero_point, value.scale))
    ):
        raise call.unsupported("its scale or zero point is not the one the activation was quantized with.")
    low, high = value.low, value.high
    if axis is None:
        return call.emit("fake_quantize", value.source, float(scale.tensor.item()), int(zero.item()), low, high)
    if zero_point is None or zero_point.tensor.dtype != torch.int32:
        zero_point = Known(zero, "zero_points" if zero_point is None else zero_point.name, zero_point is not None)
    return call.emit("fake_quantize_channels", value.source, scale, zero_point, axis, low, high)


def _integers(zero_point: Known | None, scale: Known) -> Tensor:
    if zero_point is None:
        return torch.zeros(scale.tensor.numel(), dtype=torch.int32)
    return zero_point.tensor.reshape(-1).to(torch.int32)


IMPORTERS: Importers = {"QuantizeLinear": _quantize, "DequantizeLinear": _dequantize}
