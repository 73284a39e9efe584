"""Files that are no checkpoint at all: what people really upload by mistake."""

import gzip
import io
import lzma
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from micronet.errors import UnknownFormat
from tests.micronet.checkpoints.bad_file import BadFile, content
from tests.micronet.checkpoints.containers import saved, zip_of


def _directory(folder: Path) -> Path:
    path = folder / "saved_model"
    path.mkdir()
    return path


def _torchscript(folder: Path) -> Path:
    path = folder / "script.pt"
    zip_of(path, {"m/data.pkl": b"", "m/constants.pkl": b"", "m/code/__torch__.py": b"", "m/version": b"3\n"})
    return path


def _tar(folder: Path) -> Path:
    path = folder / "model.pth.tar"
    inner = saved(folder / "inner.pth", {"weight": torch.ones(2)})
    with tarfile.open(path, "w") as archive:
        archive.add(inner, "inner.pth")
    return path


def _npz(folder: Path) -> Path:
    np.savez(folder / "weights.npz", weight=np.ones(3))
    return folder / "weights.npz"


def _array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1968764\n"

FORMATS: Mapping[str, BadFile] = {
    "empty": BadFile(content(b""), UnknownFormat),
    "one_byte": BadFile(content(b"P"), UnknownFormat),
    "directory": BadFile(_directory, UnknownFormat),
    "html": BadFile(content(b"\n<!DOCTYPE html><html><body>Sign in</body></html>"), UnknownFormat),
    "lfs_pointer": BadFile(content(POINTER), UnknownFormat),
    "json": BadFile(content(b'{"weight": [1, 2, 3]}'), UnknownFormat),
    "text_with_brace": BadFile(content(b"weights {1, 2, 3} are not here"), UnknownFormat),
    "hdf5": BadFile(content(b"\x89HDF\r\n\x1a\n" + bytes(100), "model.h5"), UnknownFormat),
    "saved_model": BadFile(content(b"\x08\x01\x12\x84\x10" + bytes(100), "saved_model.pb"), UnknownFormat),
    "tflite": BadFile(content(b"\x1c\0\0\0TFL3" + bytes(100)), UnknownFormat),
    "gguf": BadFile(content(b"GGUF\3\0\0\0" + bytes(100)), UnknownFormat),
    "lua_torch7": BadFile(content(b"\4\0\0\0\1\0\0\0\3\0\0\0V 1\r\0\0\0torch.FloatTensor", "model.t7"), UnknownFormat),
    "gzip": BadFile(content(gzip.compress(b"weights")), UnknownFormat),
    "xz": BadFile(content(lzma.compress(b"weights")), UnknownFormat),
    "zstd": BadFile(content(b"\x28\xb5\x2f\xfd" + bytes(30)), UnknownFormat),
    "7z": BadFile(content(b"7z\xbc\xaf\x27\x1c" + bytes(30)), UnknownFormat),
    "tar": BadFile(_tar, UnknownFormat),
    "npy": BadFile(content(_array()), UnknownFormat),
    "npz": BadFile(_npz, UnknownFormat),
    "plain_pickle": BadFile(content(pickle.dumps({"weight": np.ones(3)})), UnknownFormat),
    "wrong_magic": BadFile(content(pickle.dumps(0x1950A86A20F9469CFC6D, 2) + bytes(50)), UnknownFormat),
    "torchscript": BadFile(_torchscript, UnknownFormat),
    "exported_program": BadFile(
        lambda folder: zip_of(folder / "model.pt2", {"m/archive_format": b"pt2", "m/models/model.json": b"{}"}),
        UnknownFormat,
    ),
    "keras": BadFile(
        lambda folder: zip_of(folder / "model.keras", {"config.json": b"{}", "model.weights.h5": b""}), UnknownFormat
    ),
    "zip_without_data": BadFile(
        lambda folder: zip_of(folder / "model.pth", {"m/version": b"3\n", "m/data/0": bytes(4)}), UnknownFormat
    ),
    "zip_of_checkpoint": BadFile(lambda folder: zip_of(folder / "model.zip", {"model.pth": b"PK"}), UnknownFormat),
    "empty_zip": BadFile(lambda folder: zip_of(folder / "model.pth", {}), UnknownFormat),
    "protocol_4": BadFile(
        lambda folder: saved(folder / "model.pth", {"weight": torch.ones(2)}, pickle_protocol=4), UnknownFormat
    ),
}
