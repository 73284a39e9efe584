"""The directory of a zip file, read strictly before any library trusts it: PyTorch writes plain, uncompressed zips."""

import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from micronet.checkpoints.failures import guarded
from micronet.checkpoints.limits import Limits
from micronet.errors import CorruptFile, DecompressionBomb, FileTooLarge
from micronet.shown import show

RESAVE = "Save the state dict again with torch.save and upload the whole file."

STORED, DEFLATED = 0, 8
ENCRYPTED = 1

PIECE = 1 << 20
"""Bytes that are looked at together."""

# APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16
LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
END64_LOCATOR = struct.Struct("<4sLQL")
END64 = struct.Struct("<4sQ2H2L4Q")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive: its name, how it is packed, its CRC-32, and where its local header starts."""

    name: str
    method: int
    checksum: int
    packed: int
    size: int
    header: int


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory lies, as the end of the file says."""

    entries: int
    size: int
    offset: int


def read_directory(file: BinaryIO, limits: Limits) -> Mapping[str, Entry]:
    """Every entry of the zip `file` by name, in order; nothing is unpacked.

    The file must end with the end record, without a comment, and the directory must lie right before it: so every
    reader of zips sees the same directory. Names are relative, without "..", and differ in more than the case of their
    letters, which torch does not look at: it must read the very entries that are checked. Entries do not overlap.

    Raises CorruptFile, FileTooLarge (entries, unpacked size), DecompressionBomb (ratio, overlap).
    """
    with guarded("the zip archive", RESAVE):
        entries = list(_entries(file, _directory(file, limits)))
        _check_names(entries)
        for entry in entries:
            _check_entry(entry, limits)
        total = sum(entry.size for entry in entries)
        if total > limits.file_bytes:
            raise FileTooLarge(f"The zip archive unpacks to {total} bytes; the limit is {limits.file_bytes}.")
        _check_overlap(file, entries)
        return {entry.name: entry for entry in entries}


def read_entry(file: BinaryIO, entry: Entry, limit: int) -> bytes:
    """The content of `entry`, at most `limit` bytes of it held at any time.

    Raises FileTooLarge over `limit`, CorruptFile if the content is not what the directory says.
    """
    if entry.size > limit:
        raise FileTooLarge(f"{show(entry.name)} in the zip archive has {entry.size} bytes; the limit is {limit}.")
    return b"".join(_checked_pieces(file, entry))


def check_entry(file: BinaryIO, entry: Entry) -> None:
    """Compare the content of `entry` with its length and checksum: torch.load does not, and would take damaged weights.

    Raises CorruptFile.
    """
    for _ in _checked_pieces(file, entry):
        pass


def _checked_pieces(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    with guarded(f"the entry {show(entry.name)} of the zip archive", RESAVE):
        length, checksum = 0, 0
        for piece in _pieces(file, entry):
            length, checksum = length + len(piece), zlib.crc32(piece, checksum)
            if length > entry.size:
                break
            yield piece
        # torch.serialization.set_crc32_options(False) leaves a zero
        if length != entry.size or entry.checksum not in (0, checksum):
            raise CorruptFile(
                f"{show(entry.name)} in the zip archive is damaged: length or checksum is wrong. {RESAVE}"
            )


def _pieces(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    file.seek(_data_offset(file, entry))
    left, inflater = entry.packed, zlib.decompressobj(-15)
    while left:
        packed = file.read(min(left, PIECE))
        left -= len(packed)
        if not packed:
            return
        if entry.method == STORED:
            yield packed
        while entry.method == DEFLATED and packed and not inflater.eof:
            yield inflater.decompress(packed, PIECE)
            packed = inflater.unconsumed_tail


def _directory(file: BinaryIO, limits: Limits) -> Directory:
    length = file.seek(0, os.SEEK_END)
    at = length - END.size
    magic, *disks, here, entries, size, offset, comment = END.unpack(_read(file, at, END.size))
    if magic != b"PK\5\6" or comment or any(disks) or here != entries:
        raise CorruptFile(
            f"The zip archive does not end as one does: the file is cut off, or has something after it. {RESAVE}"
        )
    if entries == 0xFFFF or size == 0xFFFFFFFF or offset == 0xFFFFFFFF or _has_locator(file, at):
        at, entries, size, offset = _directory64(file, at)
    if entries > limits.zip_entries:
        raise FileTooLarge(f"The zip archive has {entries} files; the limit is {limits.zip_entries}.")
    if offset + size != at or size < entries * CENTRAL.size:
        raise CorruptFile(f"The directory of the zip archive is not where the archive says. {RESAVE}")
    return Directory(entries, size, offset)


def _has_locator(file: BinaryIO, at: int) -> bool:
    return at >= END64_LOCATOR.size and _read(file, at - END64_LOCATOR.size, 4) == b"PK\6\7"


def _directory64(file: BinaryIO, end: int) -> tuple[int, int, int, int]:
    magic, disk, at, disks = END64_LOCATOR.unpack(_read(file, end - END64_LOCATOR.size, END64_LOCATOR.size))
    record, _, _, _, disk64, start, here, entries, size, offset = END64.unpack(_read(file, at, END64.size))
    whole = magic == b"PK\6\7" and record == b"PK\6\6" and at + END64.size == end - END64_LOCATOR.size
    if not whole or disk or disk64 or start or disks > 1 or here != entries:
        raise CorruptFile(f"The end of the zip archive contradicts itself. {RESAVE}")
    return at, entries, size, offset


def _entries(file: BinaryIO, directory: Directory) -> Iterator[Entry]:
    if directory.size > directory.entries * (CENTRAL.size + 4096):
        raise FileTooLarge("The directory of the zip archive has names of thousands of characters.")
    table, at = _read(file, directory.offset, directory.size), 0
    for _ in range(directory.entries):
        (
            magic,
            _,
            _,
            flags,
            method,
            _,
            _,
            checksum,
            packed,
            size,
            name_length,
            extra_length,
            comment_length,
            *_,
            header,
        ) = CENTRAL.unpack_from(table, at)
        at += CENTRAL.size
        name = table[at : at + name_length].decode("utf-8")
        extra = table[at + name_length : at + name_length + extra_length]
        at += name_length + extra_length + comment_length
        if magic != b"PK\1\2" or flags & ENCRYPTED:
            raise CorruptFile(f"The zip archive is encrypted or its directory is damaged. {RESAVE}")
        size, packed, header = _widened(extra, (size, packed, header))
        yield Entry(name, method, checksum, packed, size, header)
    if at != directory.size:
        raise CorruptFile(f"The directory of the zip archive is not as long as the archive says. {RESAVE}")


def _widened(extra: bytes, narrow: tuple[int, int, int]) -> tuple[int, int, int]:
    """Sizes and offset; those that did not fit 32 bits are in the zip64 field, which holds just them, in this order."""
    fields = iter(_zip64(extra))
    size, packed, header = (next(fields) if value == 0xFFFFFFFF else value for value in narrow)
    return size, packed, header


def _zip64(extra: bytes) -> tuple[int, ...]:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == 1:
            return struct.unpack_from(f"<{length // 8}Q", extra, 4)
        extra = extra[4 + length :]
    return ()


def _check_names(entries: list[Entry]) -> None:
    """No two names that torch takes for one: its reader (miniz) finds an entry whatever the case of ASCII letters."""
    found: dict[bytes, str] = {}
    for entry in entries:
        key = entry.name.encode().lower()
        if key in found:
            raise CorruptFile(
                f"The zip archive holds two files of the same name, {show(found[key])} and {show(entry.name)}; "
                f"upper and lower case are no difference. {RESAVE}"
            )
        found[key] = entry.name


def _check_entry(entry: Entry, limits: Limits) -> None:
    parts = entry.name.split("/")
    if not entry.name or "\0" in entry.name or "\\" in entry.name or entry.name.startswith("/") or ".." in parts:
        raise CorruptFile(f"The zip archive has a file with the path {show(entry.name)}. {RESAVE}")
    if entry.method not in (STORED, DEFLATED) or (entry.method == STORED and entry.packed != entry.size):
        raise CorruptFile(f"The zip archive packs {show(entry.name)} in a way that PyTorch does not. {RESAVE}")
    if entry.size > limits.zip_ratio * max(entry.packed, 1):
        raise DecompressionBomb(
            f"{show(entry.name)} in the zip archive unpacks from {entry.packed} to {entry.size} bytes. "
            "Upload the file as torch.save wrote it, which does not compress."
        )


def _check_overlap(file: BinaryIO, entries: list[Entry]) -> None:
    """Entries that share bytes make a small file unpack to a large one without any ratio showing it."""
    last = 0
    for entry in sorted(entries, key=lambda entry: entry.header):
        if entry.header < last:
            raise DecompressionBomb(f"Files in the zip archive overlap, at {show(entry.name)}. {RESAVE}")
        last = _data_offset(file, entry) + entry.packed
    if last > file.seek(0, os.SEEK_END):
        raise CorruptFile(f"A file in the zip archive reaches beyond its end. {RESAVE}")


def _data_offset(file: BinaryIO, entry: Entry) -> int:
    magic, _, _, method, *_, name_length, extra_length = LOCAL.unpack(_read(file, entry.header, LOCAL.size))
    name = _read(file, entry.header + LOCAL.size, name_length)
    if magic != b"PK\3\4" or method != entry.method or name != entry.name.encode():
        raise CorruptFile(f"{show(entry.name)} in the zip archive is described in two ways. {RESAVE}")
    return entry.header + LOCAL.size + int(name_length) + int(extra_length)


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    content = file.read(length)
    if len(content) < length:
        raise CorruptFile(f"The zip archive ends too early. {RESAVE}")
    return content
