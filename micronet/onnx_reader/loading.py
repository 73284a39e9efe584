"""Reading an ONNX file that nobody vouches for."""

from pathlib import Path

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto

from micronet.errors import CorruptFile, FileTooLarge
from micronet.onnx_reader.checking import check_model
from micronet.onnx_reader.wire import check_fields

MAX_BYTES = 2**30
"""Largest file that is read."""


def load_model(path: Path) -> ModelProto:
    """The checked model in the file at `path`; nothing in it is executed and nothing outside it opened.

    Raises FileTooLarge, CorruptFile, NotFinite, or an OnnxError that names what is not read.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise FileTooLarge(f"The file has {size:,} bytes; at most {MAX_BYTES:,} are read.")
    data = path.read_bytes()
    check_fields(data)
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise CorruptFile("The file is no ONNX model: it cannot be parsed as one.") from error
    check_model(model)
    return model
