"""Folders of images, one per class, as ImageNet is kept: decoded when asked for."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from micronet.data.split import Split
from micronet.errors import DatasetCorrupt, DatasetMissing
from micronet.tracks import Track

_FOLDERS: Mapping[str, str] = MappingProxyType({"train": "train", "test": "val"})
_FORMATS: Mapping[str, str] = MappingProxyType(
    {".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP"}
)
_MODES: Mapping[int, str] = MappingProxyType({1: "L", 3: "RGB"})
# Checked against the header before anything is decoded: 64 Mi pixels take 200 MB.
_MAX_PIXELS = 1 << 26


@dataclass(frozen=True, eq=False)
class FolderImages:
    """Images at `root / paths[i]`, decoded to uint8 `shape` (C, H, W) whenever they are asked for.

    The shorter side is resized to round(max(H, W) / 0.875), 256 for 224, bilinear with antialiasing (Pillow's), and the
    middle H x W is cut out: the usual test-time preparation, with the rounding that torchvision has. Orientation tags
    are not followed, as there. Raises DatasetCorrupt, naming the file, for an image that cannot be decoded.
    """

    root: Path
    paths: Sequence[str]
    shape: tuple[int, int, int]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        indices = range(len(self.paths))[index] if isinstance(index, slice) else index.tolist()
        if not indices:
            return torch.empty((0, *self.shape), dtype=torch.uint8)
        # Pillow decodes without the interpreter's lock; torch's thread count is what this process may use.
        with ThreadPoolExecutor(torch.get_num_threads()) as decoders:
            return torch.stack(list(decoders.map(self._decode, indices)))

    def _decode(self, index: int) -> Tensor:
        path = self.root / self.paths[index]
        try:
            with Image.open(path, formats=tuple(set(_FORMATS.values()))) as image:
                if image.width * image.height > _MAX_PIXELS:
                    raise DatasetCorrupt(
                        f"{path}: {image.width}x{image.height} pixels; {_MAX_PIXELS:,} at most are decoded"
                    )
                return _prepare(image, self.shape)
        except (
            OSError,
            ValueError,
            SyntaxError,
            Image.DecompressionBombError,
        ) as error:  # what Pillow raises on damage
            raise DatasetCorrupt(f"{path}: cannot be decoded: {error}") from error


def read_folder(track: Track, split: str, data_dir: Path) -> Split:
    """The images in `data_dir/<dataset>/{train,val}/<class>/`; classes are numbered by the order of their names.

    Images are in the order of class, then file name (by code point, on every platform). `sha256` is over the lines
    "<class>/<file> <size in bytes>" in that order: names and sizes, not pixels, since reading all of ImageNet would
    take longer than many a job. Raises DatasetMissing where there is no such directory, and DatasetCorrupt for a number
    of classes other than the track's or a class without images.
    """
    root = data_dir / track.dataset / _FOLDERS[split]
    if not root.is_dir():
        raise DatasetMissing(f"no {root}: put the images there, one directory per class")
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    if len(classes) != track.classes:
        raise DatasetCorrupt(f"{root}: {len(classes)} class directories, and track {track.name!r} has {track.classes}")
    paths: list[str] = []
    labels: list[int] = []
    manifest = hashlib.sha256()
    for label, name in enumerate(classes):
        files = sorted(_files(root / name))
        if not files:
            raise DatasetCorrupt(f"{root / name}: no images ({', '.join(_FORMATS)})")
        for file, size in files:
            paths.append(f"{name}/{file}")
            manifest.update(f"{name}/{file} {size}\n".encode("utf-8", "surrogateescape"))
        labels += [label] * len(files)
    images = FolderImages(root, tuple(paths), track.input_shape)
    return Split(track.dataset, images, torch.tensor(labels, dtype=torch.int64), manifest.hexdigest())


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    """Name and size of every image file directly in `folder`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if Path(entry.name).suffix.lower() in _FORMATS and entry.is_file():
                yield entry.name, entry.stat().st_size


def _prepare(image: Image.Image, shape: tuple[int, int, int]) -> Tensor:
    """Resize, cut out the middle, and bring to uint8 (C, H, W)."""
    channels, height, width = shape
    shorter = round(max(height, width) / 0.875)
    scale_width, scale_height = _resized(image.width, image.height, shorter)
    image = image.convert(_MODES[channels]).resize((scale_width, scale_height), Image.Resampling.BILINEAR)
    left, top = round((scale_width - width) / 2), round((scale_height - height) / 2)
    pixels = np.array(image.crop((left, top, left + width, top + height)), dtype=np.uint8)
    return torch.from_numpy(pixels.reshape(height, width, channels)).permute(2, 0, 1).contiguous()


def _resized(width: int, height: int, shorter: int) -> tuple[int, int]:
    """Width and height with the shorter side at `shorter`, the other in proportion, rounded down."""
    if width <= height:
        return shorter, shorter * height // width
    return shorter * width // height, shorter
