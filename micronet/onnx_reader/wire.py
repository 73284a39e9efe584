"""A look at a protobuf before it is parsed: an empty message takes 2 bytes in a file and 150 in memory."""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor  # type: ignore[import-untyped]
from onnx import AttributeProto, ModelProto

from micronet.errors import CorruptFile, FileTooLarge

MAX_FIELDS = 2_000_000
"""Largest number of fields of a file, those of messages inside messages and the numbers in lists of attributes
included. Real files have some thousands."""

_WITH_LENGTH = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE)

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def check_fields(data: bytes) -> None:
    """Raise FileTooLarge if the ModelProto in `data` has over MAX_FIELDS fields, CorruptFile if it is no protobuf."""
    fields, stack = 0, [(0, len(data), ModelProto.DESCRIPTOR)]
    while stack:
        for count, part in _fields(data, *stack.pop()):
            fields += count
            if part is not None:
                stack.append(part)
            if fields > MAX_FIELDS:
                raise FileTooLarge(f"The file has over {MAX_FIELDS:,} fields.")


_Part = tuple[int, int, Descriptor]


def _fields(data: bytes, start: int, end: int, kind: Descriptor) -> Iterator[tuple[int, _Part | None]]:
    """For each field of the message in data[start:end]: how many it is, and where the message in it lies, or None.

    Numbers of an attribute are fields of their own, but a parser takes them together as well, as bytes without tags;
    each byte of these counts. Tensors hold as many numbers as they declare, which is checked.
    """
    inner = kind.fields_by_number
    lists = kind.full_name == AttributeProto.DESCRIPTOR.full_name
    while start < end:
        tag, start = _varint(data, start, end)
        wire_type = tag & 7
        if wire_type == _LENGTH:
            length, start = _varint(data, start, end)
            field = inner.get(tag >> 3)
            message = None if field is None else field.message_type
            if field is not None and field.type == field.TYPE_STRING:
                _check_text(data[start : min(start + length, end)])
            packed = lists and field is not None and field.type not in _WITH_LENGTH
            yield length if packed else 1, None if message is None else (start, min(start + length, end), message)
            start += length
        else:
            start = _skip(data, start, end, wire_type)
            yield 1, None
        if start > end:
            raise CorruptFile("The file is no ONNX model: a field is longer than what holds it.")


def _check_text(text: bytes) -> None:
    """Names are text; the parser would hand out bytes in their place."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorruptFile("The file is no ONNX model: a name in it is no UTF-8.") from error


def _skip(data: bytes, start: int, end: int, wire_type: int) -> int:
    if wire_type == _VARINT:
        return _varint(data, start, end)[1]
    if wire_type == _FIXED64:
        return start + 8
    if wire_type == _FIXED32:
        return start + 4
    raise CorruptFile("The file is no ONNX model: it cannot be parsed as one.")


def _varint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """The integer that begins at `start`, seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if start >= end:
            break
        byte = data[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
    raise CorruptFile("The file is no ONNX model: a number in it does not end.")
