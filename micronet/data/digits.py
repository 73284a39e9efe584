"""The handwritten digits that come with scikit-learn: 1,797 grey 8x8 images, to try everything at once."""

import gzip
import importlib.util
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from micronet.data.split import Split, content_sha256, seeded_order
from micronet.errors import DatasetMissing
from micronet.tracks import Track

_TEST_IMAGES = 360


def read_digits(track: Track, split: str, data_dir: Path) -> Split:
    """The digits in the order of seed 0 (`seeded_order`): the last 360 are test images, the 1,437 before them train.

    Pixels 0..16 become (255 x + 8) // 16, that is 255 x / 16 rounded to the nearest, a half up: uint8 (n, 1, 8, 8). The
    shuffle is ours: the file has its writers one after the other, and its end is harder than its beginning.
    `sha256` is of the content (`content_sha256`). Nothing is read from `data_dir`. Raises DatasetMissing where
    scikit-learn is not installed.
    """
    rows = _rows()
    order = seeded_order(len(rows), seed=0)
    chosen = rows[order[-_TEST_IMAGES:] if split == "test" else order[:-_TEST_IMAGES]]
    pixels = (chosen[:, :64] * 255 + 8) // 16
    images = torch.from_numpy(pixels.astype(np.uint8)).view(-1, 1, 8, 8)
    labels = torch.from_numpy(chosen[:, 64].copy())
    return Split(track.dataset, images, labels, content_sha256(images, labels))


def _rows() -> NDArray[np.int64]:
    """One row per image (1797, 65): 64 pixels 0..16, row by row, then the label.

    This is what `sklearn.datasets.load_digits` parses. The package is found, not imported: importing takes over a
    second, and every job has a process of its own.
    """
    package = importlib.util.find_spec("sklearn")
    for location in (package.submodule_search_locations or ()) if package else ():
        path = Path(location) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            with gzip.open(path, "rt", encoding="ascii") as lines:
                return np.loadtxt(lines, delimiter=",", dtype=np.int64)
    raise DatasetMissing("the digits come with scikit-learn, and its digits.csv.gz is not here: install scikit-learn")
