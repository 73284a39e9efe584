"""What a name stands for while a file is imported: a known tensor, a value made at run time, or a quantized one."""

import math
from dataclasses import dataclass

import torch
from onnx import TensorProto
from torch import Tensor

from micronet.errors import FileTooLarge
from micronet.graph.grid import Grid
from micronet.graph.ir import Ref

MAX_ELEMENTS = 2**28
"""Largest number of elements of any one value at batch 1, and of all constants computed during an import together."""

BATCH = 536_870_909
"""Stands for N in every shape during an import.

It is prime and larger than any size allowed, so a size is a multiple of N exactly when this divides it. Arithmetic
on shapes is then ordinary arithmetic on integers, and what it says of N can be read off its result.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A constant. Integers are held as int64, except 8-bit ones; floats as float32.

    name      what it is called if it becomes a weight
    counted   whether it comes from a stored parameter: an initializer, or a constant of more than one element; what
              several numbers are put together to is a parameter, too, once it becomes a weight
    kind      element type in the file (a `TensorProto.DataType`), which tells 4-bit integers from 8-bit ones
    grid      the values it may take, if it was dequantized
    trained   whether it is, or comes from, a parameter that training set; a Constant node is none, however large
    bits      width the file declares for its integers, which has been checked against them; None where it does not
    """

    tensor: Tensor
    name: str
    counted: bool
    kind: int = TensorProto.FLOAT
    grid: Grid | None = None
    bits: int | None = None
    trained: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of every dimension."""
        return tuple(self.tensor.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What a node of the graph gives, float32. `meta` has its shape, with `BATCH` for N, and no data."""

    ref: Ref
    meta: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of every dimension; multiples of `BATCH` are multiples of N."""
        return tuple(self.meta.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Quantized:
    """The integers QuantizeLinear makes at run time, from `low` to `high`.

    DequantizeLinear reads them; on the way, Clip may narrow their range, and Cast change the type they lie in.
    """

    source: Made
    scale: Known
    zero_point: Known | None
    kind: int
    axis: int
    low: int
    high: int


Floating = Known | Made
Value = Known | Made | Quantized


def multiple_of_batch(size: int) -> int:
    """How many times N `size` is; 0 if it does not depend on N."""
    return size // BATCH if size % BATCH == 0 else 0


def at_batch(shape: tuple[int, ...], batch: int) -> tuple[int, ...]:
    """`shape` with N = `batch`."""
    return tuple(multiple_of_batch(size) * batch or size for size in shape)


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape two operands have together, None if they do not fit."""
    rank = max(len(a), len(b))
    pairs = list(zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True))
    if any(x != y and 1 not in (x, y) for x, y in pairs):
        return None
    return tuple(y if x == 1 else x for x, y in pairs)


def check_shape(shape: tuple[int, ...], what: str) -> None:
    """Raise FileTooLarge unless a value of this shape has at most MAX_ELEMENTS elements at batch 1."""
    if math.prod(at_batch(shape, 1)) > MAX_ELEMENTS or max(at_batch(shape, 1), default=0) > MAX_ELEMENTS:
        raise FileTooLarge(f"{what} has shape {readable(shape)}; at most {MAX_ELEMENTS:,} elements are allowed.")


def readable(shape: tuple[int, ...]) -> str:
    """`shape` as a person writes it: (N, 3, 32, 32)."""

    def name(size: int) -> str:
        times = multiple_of_batch(size)
        return str(size) if not times else "N" if times == 1 else f"{times}N"

    return f"({', '.join(map(name, shape))})"


def carries_batch(known: Known) -> bool:
    """Whether a constant of integers has entries that depend on N."""
    tensor = once(known.tensor)
    if tensor.dtype != torch.int64:
        return False
    return bool(((tensor.abs() >= BATCH) & (tensor % BATCH == 0)).any())


def holds_batch(*tensors: Tensor) -> bool:
    """Whether one of the shapes has N in it."""
    return any(multiple_of_batch(size) for tensor in tensors for size in tensor.shape)


def once(tensor: Tensor) -> Tensor:
    """`tensor` with one element along every axis that it only repeats along: what there is to store of it."""
    for axis, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        if size > 1 and stride == 0:
            tensor = tensor.narrow(axis, 0, 1)
    return tensor


def literal(tensor: Tensor, name: str = "constant") -> Known:
    """A constant that the operation itself fixes, no parameter."""
    kind = TensorProto.FLOAT if tensor.is_floating_point() else TensorProto.INT64
    return Known(tensor, name, counted=False, kind=TensorProto.BOOL if tensor.dtype == torch.bool else kind)
