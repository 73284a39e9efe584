"""Files of safetensors: the header read and checked by its own rules, before the library maps the file."""

import json
import os
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors.torch import load_file
from torch import Tensor

from micronet.checkpoints.failures import guarded
from micronet.checkpoints.limits import Limits
from micronet.errors import CorruptFile, FileTooLarge, UnsupportedTensor
from micronet.shown import show

RESAVE = "Save the state dict again with safetensors.torch.save_file and upload the whole file."

DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""The types of the format that a state dict may hold; complex, float8 and unsigned types are left out on purpose."""


def load_safetensors(path: Path, file: BinaryIO, limits: Limits) -> Mapping[str, Tensor]:
    """The tensors of the safetensors file at `path`, which `file` has open; its metadata are not looked at.

    Raises CorruptFile, FileTooLarge, UnsupportedTensor.
    """
    with guarded("the safetensors file", RESAVE):
        header, data_length = _header(file, limits)
        header.pop("__metadata__", None)
        if len(header) > limits.tensors:
            raise FileTooLarge(f"The safetensors file has {len(header)} tensors; the limit is {limits.tensors}.")
        spans = sorted(_span(name, row, limits) for name, row in header.items())
        _check_spans(spans, data_length)
        return load_file(str(path), device="cpu")


def _header(file: BinaryIO, limits: Limits) -> tuple[dict[str, object], int]:
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > limits.header_bytes:
        raise FileTooLarge(f"The safetensors header says it has {length} bytes; the limit is {limits.header_bytes}.")
    if 8 + length > end:
        raise CorruptFile(f"The safetensors header says it has {length} bytes, and the file has {end} in all. {RESAVE}")
    header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_unique)
    if not isinstance(header, dict):
        raise CorruptFile(f"The safetensors header is no table of tensors. {RESAVE}")
    return header, end - 8 - length


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise CorruptFile(f"The safetensors header names something twice. {RESAVE}")
    return table


def _span(name: str, row: object, limits: Limits) -> tuple[int, int, str]:
    """Where the tensor lies in the data, as the header says: first byte, byte after the last, name."""
    match row:
        case {"dtype": str(kind), "shape": list(shape), "data_offsets": [int(begin), int(end)], **rest} if not rest:
            pass
        case _:
            raise CorruptFile(f"The safetensors header has a row for {show(name)} that is no tensor's. {RESAVE}")
    if kind not in DTYPES:
        raise UnsupportedTensor(
            f"The tensor {show(name)} is of type {show(kind)}; a score needs floating point (F64, F32, F16, BF16)."
        )
    if len(shape) > limits.dimensions:
        raise UnsupportedTensor(
            f"The tensor {show(name)} has {len(shape)} dimensions; the limit is {limits.dimensions}."
        )
    if not all(type(value) is int and 0 <= value < 2**63 for value in (*shape, begin, end)):
        raise CorruptFile(f"The tensor {show(name)} has a size or an offset that is no whole number. {RESAVE}")
    if end - begin != prod(shape) * DTYPES[kind].itemsize:
        raise CorruptFile(
            f"The tensor {show(name)} has {end - begin} bytes, which its shape and type do not fit. {RESAVE}"
        )
    return begin, end, name


def _check_spans(spans: list[tuple[int, int, str]], length: int) -> None:
    """The format wants the tensors to lie end to end: no gap, no overlap, nothing after the last."""
    last = 0
    for begin, end, name in spans:
        if begin != last:
            raise CorruptFile(f"The tensor {show(name)} overlaps another or leaves a gap, at byte {begin}. {RESAVE}")
        last = end
    if last != length:
        raise CorruptFile(f"The safetensors header describes {last} bytes of data, and the file has {length}. {RESAVE}")
