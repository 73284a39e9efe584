"""What a file is, by its first bytes and never by its name; and what would be right instead of a mistaken upload."""

import os
import stat
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from micronet.errors import UnknownFormat

SAVE = "Upload what torch.save(model.state_dict(), path) writes, a safetensors file, or an ONNX file."


class Format(Enum):
    """The containers we read."""

    PYTORCH_ZIP = "pytorch-zip"
    PYTORCH_LEGACY = "pytorch-legacy"
    SAFETENSORS = "safetensors"
    ONNX = "onnx"


LEGACY_MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""The number every torch.save before 1.6 began with, as a pickle spells it (LONG1, ten bytes, STOP)."""

MISTAKES: Mapping[tuple[int, bytes], str] = {
    (0, b"\x89HDF\r\n\x1a\n"): f"an HDF5 file, as Keras writes it. Convert the network to ONNX. {SAVE}",
    (0, b"\x93NUMPY"): f"a NumPy array. {SAVE}",
    (0, b"\x1f\x8b"): "compressed with gzip. Upload the file inside it.",
    (0, b"\xfd7zXZ\0"): "compressed with xz. Upload the file inside it.",
    (0, b"BZh"): "compressed with bzip2. Upload the file inside it.",
    (0, b"\x28\xb5\x2f\xfd"): "compressed with zstd. Upload the file inside it.",
    (0, b"7z\xbc\xaf\x27\x1c"): "a 7z archive. Upload the checkpoint inside it.",
    (0, b"Rar!\x1a\x07"): "a RAR archive. Upload the checkpoint inside it.",
    (257, b"ustar"): "a tar archive. Upload the checkpoint inside it.",
    (0, b"PK\5\6"): f"an empty zip archive. {SAVE}",
    (0, b"GGUF"): f"a GGUF file of a language model. {SAVE}",
    (
        0,
        b"version https://git-lfs",
    ): 'a Git LFS pointer, not the file itself. Run "git lfs pull" and upload what it fetches.',
    (4, b"TFL3"): "a TensorFlow Lite model. Convert the network to ONNX (tf2onnx).",
    (0, b"\x08\x01\x12"): "a TensorFlow SavedModel. Convert the network to ONNX (tf2onnx).",
    (0, b"\x04\0\0\0\x01\0\0\0\x03\0\0\0V 1"): f"a file of Lua Torch7. Convert it to PyTorch first. {SAVE}",
    (0, b"\x89PNG"): f"a picture. {SAVE}",
    (0, b"\xff\xd8\xff"): f"a picture. {SAVE}",
    (0, b"%PDF"): f"a PDF document. {SAVE}",
    (0, b"\x7fELF"): f"a program. {SAVE}",
}
"""Offset and magic bytes of what we do not read: what it is, and what would be right."""

ONNX_SECOND_FIELDS = b"\x12\x1a\x22\x28\x32\x3a\x42"
"""Protobuf tags that may follow ir_version in a ModelProto: producer, domain, version, documentation, graph, opsets."""


def sniff(file: BinaryIO, length: int) -> Format:
    """The format of `file`, `length` bytes long, by its content.

    Raises UnknownFormat with what the file is instead, where that can be told, and what to upload.
    """
    file.seek(0)
    head = file.read(512)
    if not length:
        raise UnknownFormat(f"The file is empty. {SAVE}")
    if head.startswith(b"PK\3\4"):
        return Format.PYTORCH_ZIP
    if LEGACY_MAGIC in head[:32]:
        return Format.PYTORCH_LEGACY
    for (offset, magic), meaning in MISTAKES.items():
        if head[offset : offset + len(magic)] == magic:
            raise UnknownFormat(f"The file is {meaning}")
    if head[8:9] == b"{" and not all(0x20 <= byte < 0x7F for byte in head[:8]):
        return Format.SAFETENSORS
    if len(head) > 2 and head[0] == 8 and 2 < head[1] < 32 and head[2] in ONNX_SECOND_FIELDS:
        return Format.ONNX
    raise UnknownFormat(_guess(head))


def require_regular(path: Path) -> int:
    """Length in bytes of the file at `path`; UnknownFormat for a directory, a pipe or a device."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise UnknownFormat(f"This is a directory, such as TensorFlow's SavedModel. {SAVE}")
    if not stat.S_ISREG(status.st_mode):
        raise UnknownFormat(f"This is no regular file. {SAVE}")
    return status.st_size


def _guess(head: bytes) -> str:
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return (
            "The file is an HTML page: the download gave a web page, not the file. Download it again and look inside."
        )
    if head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return f"The file is a plain pickle, not one of torch.save; nothing in it was run. {SAVE}"
    if text.startswith((b"{", b"[")):
        return f"The file is JSON or other text. {SAVE}"
    return f"The file is in no format we read. {SAVE}"
