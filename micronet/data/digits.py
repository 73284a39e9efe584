"""The handwritten digits that come with scikit-learn: 1,797 grey 8x8 images, to try everything at once."""

from pathlib import Path

import numpy as np
import torch

from micronet.data.split import Split, content_sha256, seeded_order
from micronet.tracks import Track

_TEST_IMAGES = 360


def read_digits(track: Track, split: str, data_dir: Path) -> Split:
    """The digits in the order of seed 0 (`seeded_order`): the last 360 are test images, the rest train.

    Pixels 0..16 become (255 x + 8) // 16, that is 255 x / 16 rounded to the nearest, a half up: uint8 (n, 1, 8, 8). The
    shuffle is ours: the file has its writers one after the other, and its end is harder than its beginning.
    `sha256` is of the content (`content_sha256`). Nothing is read from `data_dir`.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415  importing it takes longer than all the rest here

    source = load_digits()
    order = seeded_order(len(source.target), seed=0)
    chosen = order[-_TEST_IMAGES:] if split == "test" else order[:-_TEST_IMAGES]
    pixels = (source.images[chosen].astype(np.int64) * 255 + 8) // 16
    images = torch.from_numpy(pixels.astype(np.uint8)).unsqueeze(1)
    labels = torch.from_numpy(source.target[chosen].astype(np.int64))
    return Split(track.dataset, images, labels, content_sha256(images, labels))
