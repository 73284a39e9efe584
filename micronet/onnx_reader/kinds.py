"""Element types of integers: what each holds, whatever holds it here, and the values of one as those of another."""

from collections.abc import Mapping

import torch
from onnx import TensorProto
from torch import Tensor

from micronet.errors import OnnxUnsupportedFeature
from micronet.onnx_reader.tensors import BITS, FLOATS, type_name
from micronet.onnx_reader.values import once

_SIGNED = (TensorProto.INT4, TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64)
_UNSIGNED = (TensorProto.UINT4, TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32)


def integers_of(bits: int, signed: bool) -> tuple[int, int]:
    """Smallest and largest integer of `bits` bits, in two's complement where `signed`."""
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)


INTEGERS: Mapping[int, tuple[int, int]] = {
    **{kind: integers_of(BITS[kind], signed=True) for kind in _SIGNED},
    **{kind: integers_of(BITS[kind], signed=False) for kind in _UNSIGNED},
    TensorProto.UINT64: (0, 2**63 - 1),
}
"""Integer type -> smallest and largest integer of it that is read."""

_DTYPES: Mapping[int, torch.dtype] = {
    TensorProto.BOOL: torch.bool,
    TensorProto.INT8: torch.int8,
    TensorProto.UINT8: torch.uint8,
}


def check_held(values: Tensor, kind: int, what: str) -> None:
    """Raise OnnxUnsupportedFeature if integers are beyond what their type `kind` holds."""
    if kind not in INTEGERS or values.numel() == 0:
        return
    low, high = INTEGERS[kind]
    least, most = (int(end) for end in once(values).aminmax())
    if least < low or most > high:
        raise OnnxUnsupportedFeature(
            f"{what} computes integers from {least} to {most}, which {type_name(kind)} does not hold."
        )


def converted(values: Tensor, kind: int, what: str) -> Tensor:
    """A constant as one of the type `kind`, as Cast makes it: integers wrap, floats are cut towards zero.

    Raises OnnxUnsupportedFeature for a float that the type does not hold, for which ONNX says nothing, and for an
    integer over 2^63.
    """
    if kind in FLOATS or kind == TensorProto.BOOL:
        return values.to(_DTYPES.get(kind, torch.float32))
    low, high = INTEGERS[kind]
    dtype = _DTYPES.get(kind, torch.int64)
    if values.is_floating_point():
        whole = values.double().trunc()
        if not bool(((whole >= float(low)) & (whole < float(high + 1))).all()):
            raise OnnxUnsupportedFeature(f"{what} makes {type_name(kind)} of a float that it does not hold.")
        return whole.to(dtype)
    if BITS[kind] < 64:
        return ((values.long() - low) % (1 << BITS[kind]) + low).to(dtype)
    check_held(values, kind, what)
    return values.to(dtype)
