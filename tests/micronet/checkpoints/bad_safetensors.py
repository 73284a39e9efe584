"""safetensors files that break the rules of their header."""

import json
import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

from micronet.errors import CorruptFile, FileTooLarge, NoStateDict, NotFinite, UnsupportedTensor
from tests.micronet.checkpoints.bad_file import BadFile
from tests.micronet.checkpoints.containers import safetensors


def _row(
    begin: object = 0, end: object = 16, dtype: str = "F32", shape: object = (4,), **more: object
) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


def _file(header: object, data: bytes = bytes(16), length: int | None = None) -> Callable[[Path], Path]:
    return lambda folder: safetensors(folder / "model.safetensors", header, data, length)


TWICE = b'{"a": ROW, "a": ROW}'.replace(b"ROW", json.dumps(_row()).encode())

SAFETENSORS: Mapping[str, BadFile] = {
    "header_of_exabytes": BadFile(_file({"a": _row()}, length=2**63), FileTooLarge),
    "header_of_all_ones": BadFile(_file({"a": _row()}, length=2**64 - 1), FileTooLarge),
    "header_over_limit": BadFile(_file({"a": _row()}, length=10**8), FileTooLarge),
    "header_beyond_file": BadFile(_file({"a": _row()}, length=5000), CorruptFile),
    "header_no_json": BadFile(_file(b'{"a": '), CorruptFile),
    "header_no_text": BadFile(_file(b'{"\xff": 1}'), CorruptFile),
    "header_nested": BadFile(_file(b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"), CorruptFile),
    "header_huge_number": BadFile(_file(b'{"a": ' + b"9" * 100_000 + b"}"), CorruptFile),
    "header_other_rows": BadFile(_file({"a": [1, 2]}), CorruptFile),
    "header_extra_field": BadFile(_file({"a": _row(stride=[0])}), CorruptFile),
    "header_twice": BadFile(_file(TWICE), CorruptFile),
    "offsets_overlap": BadFile(_file({"a": _row(), "b": _row()}), CorruptFile),
    "offsets_gap": BadFile(_file({"a": _row(), "b": _row(20, 36)}, bytes(36)), CorruptFile),
    "offsets_outside": BadFile(_file({"a": _row(16, 32)}), CorruptFile),
    "offsets_backwards": BadFile(_file({"a": _row(16, 0)}), CorruptFile),
    "offsets_negative": BadFile(_file({"a": _row(-16, 0)}), CorruptFile),
    "offsets_fractions": BadFile(_file({"a": _row(0.0, 16.0)}), CorruptFile),
    "shape_of_terabytes": BadFile(_file({"a": _row(shape=[10**6, 10**6])}), CorruptFile),
    "shape_overflow": BadFile(_file({"a": _row(shape=[2**32, 2**32, 4])}), CorruptFile),
    "data_trailing": BadFile(_file({"a": _row()}, bytes(17)), CorruptFile),
    "data_truncated": BadFile(_file({"a": _row()}, bytes(15)), CorruptFile),
    "dtype_unknown": BadFile(_file({"a": _row(dtype="F33")}), UnsupportedTensor),
    "dtype_float8": BadFile(_file({"a": _row(0, 4, "F8_E4M3")}, bytes(4)), UnsupportedTensor),
    "dtype_complex": BadFile(_file({"a": _row(0, 32, "C64")}, bytes(32)), UnsupportedTensor),
    "integers": BadFile(_file({"fc.weight": _row(dtype="I32"), "b": _row(16, 32)}, bytes(32)), UnsupportedTensor),
    "safetensors_nan": BadFile(_file({"a": _row()}, struct.pack("<4f", 0, math.nan, 0, 0)), NotFinite),
    "safetensors_empty": BadFile(_file(b"{}", b""), NoStateDict),
    "metadata_only": BadFile(_file({"__metadata__": {"format": "pt"}}, b""), NoStateDict),
}
