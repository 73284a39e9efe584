"""Zip archives that lie about what is in them."""

import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from micronet.checkpoints.zip_archive import CENTRAL, END, LOCAL
from micronet.errors import CorruptFile, DecompressionBomb, FileTooLarge
from tests.micronet.checkpoints.bad_file import BadFile
from tests.micronet.checkpoints.containers import Storage, pickled, saved, tensor, torch_zip, zip_of

DATA = pickled({"weight": tensor(Storage())})
WHOLE = {"m/data.pkl": DATA, "m/data/0": bytes(16), "m/version": b"3\n"}


def _altered(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """A good file of torch.save with its bytes changed."""

    def make(folder: Path) -> Path:
        path = saved(folder / "model.pth", {"weight": torch.arange(100.0)})
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def _raw_zip(path: Path, entries: list[tuple[str, bytes, int, int]]) -> Path:
    """Entries of (name, packed bytes, method, size), with any size claimed."""
    body, table = b"", b""
    for name, packed, method, size in entries:
        sizes = 0, min(len(packed), 2**32 - 1), min(size, 2**32 - 1)
        extra = struct.pack("<2HQ", 1, 8, size) if size >= 2**32 else b""
        lengths = len(name), len(extra)
        fields = b"PK\1\2", 20, 20, 0, method, 0, 0, *sizes, *lengths, 0, 0, 0, 0, len(body)
        table += CENTRAL.pack(*fields) + name.encode() + extra
        body += LOCAL.pack(b"PK\3\4", 20, 0, method, 0, 0, *sizes, *lengths) + name.encode() + extra + packed
    path.write_bytes(body + table + END.pack(b"PK\5\6", 0, 0, len(entries), len(entries), len(table), len(body), 0))
    return path


def _zeros(gigabytes: int) -> bytes:
    """A deflated stream of zeros, made by repeating that of one megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packer.compress(bytes(1 << 20))
    packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * (1024 * gigabytes) + packer.flush()


def _bomb(folder: Path) -> Path:
    entries = [("m/data.pkl", DATA, 0, len(DATA)), ("m/data/0", _zeros(10), 8, 10 << 30), ("m/version", b"3\n", 0, 2)]
    return _raw_zip(folder / "m.pth", entries)


def _pickle_bomb(folder: Path) -> Path:
    return _raw_zip(folder / "m.pth", [("m/data.pkl", _zeros(1), 8, 1 << 30), ("m/version", b"3\n", 0, 2)])


def _pickle_that_grows(folder: Path) -> Path:
    """The directory admits a hundred bytes; the stream has a gigabyte."""
    return _raw_zip(folder / "m.pth", [("m/data.pkl", _zeros(1), 8, 100), ("m/version", b"3\n", 0, 2)])


def _overlap(folder: Path) -> Path:
    """A second directory entry for the bytes of the first: names differ in the directory alone."""
    path = torch_zip(folder / "m.pth", DATA)
    data = path.read_bytes()
    _, *_, here, entries, size, offset, _ = END.unpack(data[-END.size :])
    row = data[offset : offset + CENTRAL.size + len("archive/data.pkl")]
    end = END.pack(b"PK\5\6", 0, 0, here + 1, entries + 1, size + len(row), offset, 0)
    path.write_bytes(data[:offset] + data[offset : offset + size] + row.replace(b"data.pkl", b"twin.pkl") + end)
    return path


def _many(folder: Path) -> Path:
    row = CENTRAL.pack(b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    count = 100_000
    table = row * count
    local = LOCAL.pack(b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"a"
    at = len(local) + len(table)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(table), len(local))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    end = END.pack(b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(table), len(local), 0)
    (folder / "m.pth").write_bytes(local + table + end64 + locator + end)
    return folder / "m.pth"


def _twice(folder: Path) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(folder / "m.pth", "w") as archive:
        warnings.simplefilter("ignore")
        for content in (DATA, b"other"):
            archive.writestr("m/data.pkl", content)
    return folder / "m.pth"


def _stored(**names: bytes) -> Callable[[Path], Path]:
    entries = {"m/data.pkl": DATA, **{name.replace("_", "/"): content for name, content in names.items()}}
    return lambda folder: zip_of(folder / "m.pth", entries)


ZIPS: Mapping[str, BadFile] = {
    "zip_bomb": BadFile(_bomb, DecompressionBomb),
    "zip_bomb_in_pickle": BadFile(_pickle_bomb, DecompressionBomb),
    "zip_pickle_grows": BadFile(_pickle_that_grows, CorruptFile),
    "zip_overlap": BadFile(_overlap, DecompressionBomb),
    "zip_100000_entries": BadFile(_many, FileTooLarge),
    "zip_duplicate": BadFile(_twice, CorruptFile),
    "zip_twin_of_the_pickle": BadFile(
        lambda folder: zip_of(folder / "m.pth", {**WHOLE, "m/DATA.PKL": pickled({"evil": tensor(Storage())})}),
        CorruptFile,
    ),
    "zip_twin_of_a_storage": BadFile(
        lambda folder: zip_of(folder / "m.pth", {**WHOLE, "m/data/a": bytes(4), "m/data/A": bytes(16)}), CorruptFile
    ),
    "zip_parent_path": BadFile(_stored(**{"../../evil": b""}), CorruptFile),
    "zip_absolute_path": BadFile(_stored(**{"/etc/evil": b""}), CorruptFile),
    "zip_backslash": BadFile(_stored(**{"m\\evil": b""}), CorruptFile),
    "zip_truncated": BadFile(_altered(lambda data: data[: len(data) // 2]), CorruptFile),
    "zip_one_byte_short": BadFile(_altered(lambda data: data[:-1]), CorruptFile),
    "zip_header_only": BadFile(_altered(lambda data: data[:4]), CorruptFile),
    "zip_trailing": BadFile(_altered(lambda data: data + b"and more"), CorruptFile),
    "zip_prefixed": BadFile(_altered(lambda data: data[:64] + data), CorruptFile),
    "zip_second_end": BadFile(_altered(lambda data: data + data[-END.size :]), CorruptFile),
    "zip_damaged_values": BadFile(
        _altered(lambda data: data.replace(struct.pack("<f", 50), struct.pack("<f", 51))), CorruptFile
    ),
    "zip_local_name": BadFile(_altered(lambda data: data.replace(b"data.pkl", b"atad.pkl", 1)), CorruptFile),
    "zip_without_version": BadFile(
        lambda folder: zip_of(folder / "m.pth", {"m/data.pkl": DATA, "m/data/0": bytes(16)}), CorruptFile
    ),
    "zip_byte_order": BadFile(
        lambda folder: zip_of(
            folder / "m.pth",
            {"m/data.pkl": DATA, "m/data/0": bytes(16), "m/version": b"3\n", "m/byteorder": b"middle"},
        ),
        CorruptFile,
    ),
}
