"""Read pickled CIFAR batches without running anything: five names are known, and each has an inert stand-in here."""

import math
import pickle
from collections.abc import Mapping
from types import MappingProxyType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from micronet.errors import DatasetCorrupt


class _StandIn:
    """Base of the stand-ins. Instances take their pickled state and do nothing with it; the classes take none."""

    def __setstate__(self, state: object) -> None: ...


class _ArrayType(_StandIn):
    """Stands for numpy.ndarray, which the pickle only hands to `_reconstruct`."""


class _DataType(_StandIn):
    """Stands for numpy.dtype: keeps its code. The state that follows (byte order, fields) says nothing about bytes."""

    def __init__(self, code: object, align: object = False, copy: object = True) -> None:
        self.code = code.decode("ascii") if isinstance(code, bytes) else code


class PickledArray(_StandIn):
    """Stands for what `_reconstruct` returns: an array of bytes, and no other kind."""

    def __init__(self, kind: object, shape: object, code: object) -> None:
        self.shape: tuple[int, ...] = ()
        self.content = b""

    def __setstate__(self, state: object) -> None:
        match state:
            case (int(), tuple(shape), _DataType(code="u1" | "|u1"), False | 0, bytes(content)):
                if not all(isinstance(n, int) and n >= 0 for n in shape) or math.prod(shape) != len(content):
                    raise DatasetCorrupt(f"an array of shape {shape} with {len(content)} bytes")
                self.shape, self.content = shape, content
            case _:
                raise DatasetCorrupt("an array that is not of bytes in C order")

    def to_numpy(self) -> NDArray[np.uint8]:
        """The array, read-only, sharing the memory of the pickle."""
        return np.frombuffer(self.content, dtype=np.uint8).reshape(self.shape)


class _Encoded(_StandIn):
    """Stands for _codecs.encode: how Python 3 writes bytes in protocol 2, as text of the first 256 characters."""

    def __new__(cls, text: str, encoding: str = "") -> bytes:  # type: ignore[misc]
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise DatasetCorrupt("text encoded in anything but latin-1")
        return text.encode("latin-1")


_KNOWN: Mapping[tuple[str, str], type[_StandIn]] = MappingProxyType(
    {
        ("numpy.core.multiarray", "_reconstruct"): PickledArray,
        ("numpy._core.multiarray", "_reconstruct"): PickledArray,
        ("numpy", "ndarray"): _ArrayType,
        ("numpy", "dtype"): _DataType,
        ("_codecs", "encode"): _Encoded,
    }
)


class _Reader(pickle.Unpickler):
    """An unpickler that imports nothing: a name is in the table, or the file is refused."""

    def find_class(self, module: str, name: str, /) -> type[_StandIn]:
        """The stand-in of `module.name`. Raises DatasetCorrupt for a name not in the table."""
        stand_in = _KNOWN.get((module, name))
        if stand_in is None:
            raise DatasetCorrupt(f"it asks for {module}.{name}, which image files have no use for")
        return stand_in


def read_batch(file: BinaryIO) -> dict[object, object]:
    """The dictionary that a CIFAR file holds, keys and texts as bytes, arrays as `PickledArray`.

    Raises DatasetCorrupt for whatever is damaged, is no dictionary, or asks for any other name. Nothing of the file is
    executed: the only callables it can reach are the stand-ins above.
    """
    try:
        content = _Reader(file, encoding="bytes").load()
    except DatasetCorrupt:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything: EOFError, KeyError, TypeError, MemoryError
        raise DatasetCorrupt(f"the pickle is damaged ({type(error).__name__}: {error})") from error
    if not isinstance(content, dict):
        raise DatasetCorrupt(f"a {type(content).__name__} where a dictionary is expected")
    return content
