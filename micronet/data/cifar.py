"""CIFAR-10 and CIFAR-100 in their official layout: pickled batches of 3x32x32 images."""

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from micronet.data.archives import ARCHIVES, Archive, how_to_get
from micronet.data.safe_pickle import PickledArray, read_batch
from micronet.data.split import Pixels, Split
from micronet.errors import DatasetCorrupt, DatasetMissing
from micronet.tracks import Track

_SHAPE = (3, 32, 32)
_BYTES = 3 * 32 * 32


@dataclass(frozen=True, slots=True)
class _Layout:
    """The archive a data set comes in, the files of each split in order, and the key of the labels in each file."""

    archive: Archive
    files: Mapping[str, tuple[str, ...]]
    label_key: bytes


_LAYOUTS: Mapping[str, _Layout] = MappingProxyType(
    {
        "cifar100": _Layout(
            ARCHIVES["cifar100"],
            MappingProxyType({"train": ("train",), "test": ("test",)}),
            b"fine_labels",
        ),
        "cifar10": _Layout(
            ARCHIVES["cifar10"],
            MappingProxyType({"train": tuple(f"data_batch_{n}" for n in range(1, 6)), "test": ("test_batch",)}),
            b"labels",
        ),
    }
)


def read_cifar(track: Track, split: str, data_dir: Path) -> Split:
    """The images of `split` in the order of the official files, in memory: uint8 (n, 3, 32, 32).

    `sha256` is that of the file, or of the files one after the other (`cat data_batch_* | sha256sum`). A file whose MD5
    is not the official one is used, with a warning. Raises DatasetMissing, saying where to get it, for a file that is
    not there, and DatasetCorrupt for one that does not hold images and labels of the track's classes.
    """
    layout = _LAYOUTS[track.dataset]
    folder = data_dir / layout.archive.folder
    paths = [folder / name for name in layout.files[split]]
    for path in paths:
        if not path.is_file():
            raise DatasetMissing(f"no {path}: {how_to_get(layout.archive, data_dir)}")
    # Hashing lets go of the interpreter's lock, so on free cores it costs nothing beside the parsing.
    with ThreadPoolExecutor(2) as background:
        sha256, md5s = background.submit(_sha256, paths), background.submit(_md5s, paths)
        parts = [_read_file(path, layout.label_key, track.classes) for path in paths]
        images = _joined([images for images, _ in parts]).reshape(-1, *_SHAPE)
        labels = torch.from_numpy(np.concatenate([labels for _, labels in parts]))
        warnings = _warnings(layout.archive, md5s.result())
        return Split(track.dataset, Pixels(images), labels, sha256.result(), warnings)


def _joined(parts: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _read_file(path: Path, label_key: bytes, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, 3072), sharing the memory of the pickle, and labels (n,) of one file."""
    try:
        with path.open("rb") as file:
            content = read_batch(file)
    except DatasetCorrupt as error:
        raise DatasetCorrupt(f"{path}: {error}") from error
    except OSError as error:
        raise DatasetMissing(f"{path} cannot be read: {error}") from error
    data, labels = content.get(b"data"), content.get(label_key)
    if not isinstance(data, PickledArray) or len(data.shape) != 2 or data.shape[1] != _BYTES:
        raise DatasetCorrupt(f"{path}: data is not an array of bytes of shape (n, {_BYTES})")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise DatasetCorrupt(f"{path}: {label_key.decode()} is not a list of integers")
    if len(labels) != data.shape[0] or not labels:
        raise DatasetCorrupt(f"{path}: {data.shape[0]} images and {len(labels)} labels")
    if not (min(labels) >= 0 and max(labels) < classes):
        raise DatasetCorrupt(f"{path}: labels {min(labels)}..{max(labels)}, and the track has classes 0..{classes - 1}")
    return data.to_numpy(), np.asarray(labels, dtype=np.int64)


def _sha256(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _md5s(paths: list[Path]) -> dict[str, str]:
    """The MD5 of each file, by its name."""
    md5s = {}
    for path in paths:
        with path.open("rb") as file:
            md5s[path.name] = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return md5s


def _warnings(archive: Archive, md5s: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{archive.folder}/{name} is not the official file: its MD5 is {md5}, not {archive.members[name]}"
        for name, md5 in md5s.items()
        if md5 != archive.members[name]
    )
