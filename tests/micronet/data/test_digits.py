"""The embedded digits: the images scikit-learn has, in a split that never changes."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from micronet.data.datasets import open_split
from micronet.data.split import Split, seeded_order
from micronet.errors import DatasetCorrupt
from micronet.tracks import track

TRACK = track("digits")


@pytest.fixture(scope="module")
def train() -> Split:
    return open_split(TRACK, "train", None)


@pytest.fixture(scope="module")
def held_out() -> Split:
    return open_split(TRACK, "test", None)


def test_they_are_the_digits_of_scikit_learn(train: Split, held_out: Split) -> None:
    from sklearn.datasets import load_digits

    images = torch.cat([train.batch(0, 1437)[0], held_out.batch(0, 360)[0]])
    source, order = load_digits(), seeded_order(1797, seed=0)
    expected = np.floor(source.images[order] * 255 / 16 + 0.5)
    np.testing.assert_array_equal(images[:, 0].numpy(), expected)
    np.testing.assert_array_equal(torch.cat([train.labels, held_out.labels]).numpy(), source.target[order])
    assert images.dtype == torch.uint8
    assert (int(images.min()), int(images.max())) == (0, 255)


def test_the_split_never_changes(train: Split, held_out: Split) -> None:
    assert (len(train), len(held_out)) == (1437, 360)
    assert held_out.sha256 == "7ecb3af86c58c6df7f53f7fdca8ac797aa020a62cab02ec209b94811d6e1db98"
    assert held_out.warnings == ()


def test_normalization_is_that_of_the_training_images(train: Split) -> None:
    pixels = train.batch(0, 1437)[0].double() / 255
    assert abs(pixels.mean() - TRACK.mean[0]) < 5e-5
    assert abs(pixels.std() - TRACK.std[0]) < 5e-5


def test_reading_them_does_not_import_scikit_learn() -> None:
    script = (
        "import sys; from micronet.data.datasets import open_split; from micronet.tracks import track;"
        "open_split(track('digits'), 'test', None); sys.exit('sklearn' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_track_with_fewer_classes_than_the_images_is_refused() -> None:
    with pytest.raises(DatasetCorrupt, match="10 classes, track 'digits' has 9"):
        open_split(TRACK.model_copy(update={"classes": 9}), "test", None)
