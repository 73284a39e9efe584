"""The table of data sets, and the way from a track to its images."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from micronet.data.cifar import read_cifar
from micronet.data.digits import read_digits
from micronet.data.folder import read_folder
from micronet.data.split import Split
from micronet.errors import DatasetCorrupt, DatasetMissing
from micronet.tracks import Track

SplitName = Literal["train", "test"]
Reader = Callable[[Track, str, Path], Split]

# A data set without a row is a directory of image folders of that name.
DATASETS: Mapping[str, Reader] = MappingProxyType(
    {
        "cifar100": read_cifar,
        "cifar10": read_cifar,
        "digits": read_digits,
        "imagenet": read_folder,
    }
)
_EMBEDDED = frozenset({"digits"})


def open_split(track: Track, split: SplitName, data_dir: Path | None) -> Split:
    """The training or test images of `track`, read from `data_dir` (which only the embedded digits can do without).

    Raises DatasetMissing where they are not there, DatasetCorrupt where they are not what the track says: its input
    shape, its classes, or, for the test images, their number, since the floor counts correct answers among just these.
    """
    if data_dir is None and track.dataset not in _EMBEDDED:
        raise DatasetMissing(
            f"no data directory is set, and data set {track.dataset!r} is read from one (MICRONET_DATA)"
        )
    opened = DATASETS.get(track.dataset, read_folder)(track, split, data_dir or Path())
    _check_agrees(opened, track, split)
    return opened


def calibration_split(track: Track, data_dir: Path | None, count: int, seed: int) -> Split:
    """The `count` training images that `seed` chooses (`Split.subset`): quantizers see these, and never a test image.

    Raises what `open_split` raises, and ValueError for a count under 1.
    """
    return open_split(track, "train", data_dir).subset(count, seed)


def _check_agrees(opened: Split, track: Track, split: SplitName) -> None:
    found = f"data set {track.dataset!r} has"
    wanted = f"track {track.name!r} has"
    shape = tuple(opened.images[0:1].shape[1:])
    if shape != track.input_shape:
        raise DatasetCorrupt(f"{found} images of shape {shape}, {wanted} {track.input_shape}")
    if (classes := int(opened.labels.max()) + 1) > track.classes:
        raise DatasetCorrupt(f"{found} at least {classes} classes, {wanted} {track.classes}")
    if split == "test" and len(opened) != track.test_images:
        raise DatasetCorrupt(f"{found} {len(opened)} test images, {wanted} {track.test_images}")
