"""TensorProto to torch: every declared size is checked before memory is spent."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor

from micronet.errors import FINITE_MASK, CorruptFile, FileTooLarge, NotFinite, OnnxExternalData, OnnxUnsupportedFeature
from micronet.onnx_reader.values import MAX_ELEMENTS
from micronet.shown import show

MAX_RANK = 64
"""Largest number of dimensions of any one value, as many as NumPy allows."""

FLOATS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16})

BITS: Mapping[int, int] = {
    TensorProto.FLOAT: 32,
    TensorProto.DOUBLE: 64,
    TensorProto.FLOAT16: 16,
    TensorProto.BFLOAT16: 16,
    TensorProto.INT64: 64,
    TensorProto.INT32: 32,
    TensorProto.INT16: 16,
    TensorProto.INT8: 8,
    TensorProto.UINT64: 64,
    TensorProto.UINT32: 32,
    TensorProto.UINT16: 16,
    TensorProto.UINT8: 8,
    TensorProto.BOOL: 8,
    TensorProto.INT4: 4,
    TensorProto.UINT4: 4,
}
"""Bits of one element as the file packs it, for every element type that is read."""

_DATA_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
_FIELD: Mapping[int, str] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.DOUBLE: "double_data",
    TensorProto.INT64: "int64_data",
    TensorProto.UINT64: "uint64_data",
    TensorProto.UINT32: "uint64_data",
}


def check_rank(rank: int, what: str) -> None:
    """Raise FileTooLarge unless a value may have `rank` dimensions: the product of endless sizes takes endless time."""
    if rank > MAX_RANK:
        raise FileTooLarge(f"{what} has {rank:,} dimensions; at most {MAX_RANK} are allowed.")


def check_tensor(tensor: TensorProto) -> None:
    """Raise unless `tensor` is of a type that is read, holds its data itself, and holds as much as its dims declare."""
    what = f"Tensor {show(tensor.name)}"
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        raise OnnxExternalData(
            f"{what} lies outside the file; save the model with its weights inside it: "
            "torch.onnx.export(..., external_data=False)."
        )
    if tensor.data_type not in BITS:
        raise OnnxUnsupportedFeature(f"{what} has the element type {type_name(tensor.data_type)}, which is not read.")
    check_rank(len(tensor.dims), what)
    if any(size < 0 for size in tensor.dims):
        raise CorruptFile(f"{what} has the dims {list(tensor.dims)}; a size cannot be negative.")
    elements = math.prod(tensor.dims)
    if elements > MAX_ELEMENTS or max(tensor.dims, default=0) > MAX_ELEMENTS:
        raise FileTooLarge(f"{what} declares {elements:,} elements; at most {MAX_ELEMENTS:,} are allowed.")
    _check_length(tensor, elements, what)


def _check_length(tensor: TensorProto, elements: int, what: str) -> None:
    if tensor.HasField("segment"):
        raise OnnxUnsupportedFeature(f"{what} is stored in segments.")
    field = _FIELD.get(tensor.data_type, "int32_data")
    filled = [name for name in _DATA_FIELDS if len(getattr(tensor, name))]
    bits = BITS[tensor.data_type]
    if tensor.HasField("raw_data"):
        expected, found = -(-elements * bits // 8), len(tensor.raw_data)
    else:
        expected, found = -(-elements * min(bits, 8) // 8), len(getattr(tensor, field))
        filled = [name for name in filled if name != field]
    if filled or expected != found:
        raise CorruptFile(f"{what} declares dims {list(tensor.dims)}, and its data does not have that many elements.")


def check_finite(tensor: TensorProto) -> None:
    """Raise NotFinite if a float tensor holds NaN or infinity, also after it became float32."""
    if tensor.data_type in FLOATS and not bool(torch.isfinite(to_torch(tensor)).all()):
        raise NotFinite(f"Tensor {show(tensor.name)} holds NaN or infinity. {FINITE_MASK}")


def to_torch(tensor: TensorProto) -> Tensor:
    """Values of a checked tensor: float32, int8, uint8, bool, or int64 for the other integers; 4-bit ones as 8-bit."""
    check_tensor(tensor)
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        raise CorruptFile(f"Tensor {show(tensor.name)} cannot be read: {show(str(error))}.") from error
    if tensor.data_type == TensorProto.UINT64 and array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise OnnxUnsupportedFeature(f"Tensor {show(tensor.name)} holds integers over 2^63.")
    with np.errstate(over="ignore"):
        converted = array.astype(_numpy_type(tensor.data_type), order="C", copy=True)
    return torch.from_numpy(converted)


def _numpy_type(kind: int) -> type[np.generic]:
    if kind in FLOATS:
        return np.float32
    eight_bit: Mapping[int, type[np.generic]] = {
        TensorProto.INT8: np.int8,
        TensorProto.INT4: np.int8,
        TensorProto.UINT8: np.uint8,
        TensorProto.UINT4: np.uint8,
        TensorProto.BOOL: np.bool_,
    }
    return eight_bit.get(kind, np.int64)


def type_name(kind: int) -> str:
    """Name of an element type, also of one that is not known."""
    return TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else f"number {kind}"
