"""CIFAR files: read exactly, refused for cause, and never executed."""

import hashlib
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from micronet.data.datasets import calibration_split, open_split
from micronet.data.split import normalize
from micronet.errors import DatasetCorrupt, DatasetMissing
from micronet.tracks import Track, track

Content = dict[bytes, object]
Make = Callable[..., Track]
Write = Callable[..., Path]


def test_images_and_labels_are_those_written(content: Content, small: Make, write_cifar: Write, writer: object) -> None:
    data_dir = write_cifar(content, how=writer)
    split = open_split(small("cifar100"), "test", data_dir)
    images, labels = split.batch(0, len(split))
    assert images.dtype == torch.uint8
    assert labels.dtype == torch.int64
    np.testing.assert_array_equal(images.numpy(), np.asarray(content[b"data"]).reshape(6, 3, 32, 32))
    assert labels.tolist() == content[b"fine_labels"]
    file = data_dir / "cifar-100-python" / "test"
    assert split.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert split.name == "cifar100"


def test_a_file_that_is_not_the_official_one_is_used_with_a_warning(
    content: Content, small: Make, write_cifar: Write
) -> None:
    (warning,) = open_split(small("cifar100"), "test", write_cifar(content)).warnings
    assert "cifar-100-python/test is not the official file" in warning
    assert "f0ef6b0ae62326f3e7ffdfab6717acfc" in warning


def test_cifar10_joins_its_five_batches_in_order(content: Content, small: Make, write_cifar: Write) -> None:
    for n in range(1, 6):
        content[b"labels"] = [n] * 6
        data_dir = write_cifar(content, f"cifar-10-batches-py/data_batch_{n}")
    split = open_split(small("cifar10"), "train", data_dir)
    assert split.labels.tolist() == [n for n in range(1, 6) for _ in range(6)]
    files = [data_dir / "cifar-10-batches-py" / f"data_batch_{n}" for n in range(1, 6)]
    assert split.sha256 == hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    assert len(split.warnings) == 5


def test_a_batch_is_a_copy(content: Content, small: Make, write_cifar: Write) -> None:
    split = open_split(small("cifar100"), "test", write_cifar(content))
    split.batch(0, 2)[0].zero_()
    assert split.batch(0, 2)[0].any()


def test_missing_files_say_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match=r"cifar-100-python\.tar\.gz.*unpack it in"):
        open_split(track("cifar100"), "test", tmp_path)
    with pytest.raises(DatasetMissing, match="MICRONET_DATA"):
        open_split(track("cifar100"), "test", None)


class _Runs:
    """Pickles to a call of os.mkdir: harmless, and easy to see afterwards."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_wants_to_run_code_is_refused_and_runs_nothing(
    content: Content, small: Make, write_cifar: Write, protocol: int, tmp_path: Path
) -> None:
    trace = tmp_path / "it ran"
    data_dir = write_cifar(pickle.dumps({**content, b"extra": _Runs(trace)}, protocol=protocol))
    with pytest.raises(DatasetCorrupt, match=r"test: .*mkdir|test: .*damaged|test: .*asks for"):
        open_split(small("cifar100"), "test", data_dir)
    assert not trace.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"cbuiltins\neval\n(X\x03\x00\x00\x001+1tR.",
        b"c__builtin__\ngetattr\n(cnumpy\nndarray\nX\x07\x00\x00\x00__new__tR.",
        b"cnumpy\nload\n(X\x01\x00\x00\x00xtR.",
        b"cnumpy\nndarray\n(K\x01\x85tR.",  # the real class would make an array
        b"c_codecs\nencode\n(X\x01\x00\x00\x00xX\x05\x00\x00\x00rot13tR.",
        b"cnumpy\ndtype\n}X\x04\x00\x00\x00codeK\x01sb.",  # state for a class, not for an instance
        b"\x82\x01.",  # an extension code
        b"Pid\n.",  # a persistent identifier
        b"\x80\x02}.",  # a dictionary without images
        b"]q\x00.",
        b"",
        b"not a pickle",
    ],
)
def test_hostile_and_broken_pickles_are_refused(small: Make, write_cifar: Write, body: bytes) -> None:
    with pytest.raises(DatasetCorrupt, match="cifar-100-python"):
        open_split(small("cifar100"), "test", write_cifar(body))


def test_every_truncation_is_refused(content: Content, small: Make, write_cifar: Write) -> None:
    whole = (write_cifar(content) / "cifar-100-python" / "test").read_bytes()
    for length in range(0, len(whole), 97):
        with pytest.raises(DatasetCorrupt):
            open_split(small("cifar100"), "test", write_cifar(whole[:length]))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({b"fine_labels": [0, 1, 2, 3, 4, 100]}, "labels 0..100"),
        ({b"fine_labels": [0, 1, 2, 3, 4, -1]}, "labels -1..4"),
        ({b"fine_labels": [0, 1, 2]}, "6 images and 3 labels"),
        ({b"fine_labels": [b"0"] * 6}, "not a list of integers"),
        ({b"fine_labels": {}}, "not a list of integers"),
        ({b"data": np.zeros((6, 3071), np.uint8)}, "shape"),
        ({b"data": np.zeros(6 * 3072, np.uint8)}, "shape"),
        ({b"data": b"0" * 6 * 3072}, "not an array"),
        ({b"data": np.zeros((0, 3072), np.uint8), b"fine_labels": []}, "0 images"),
    ],
)
def test_wrong_content_is_named(
    content: Content, small: Make, write_cifar: Write, change: Content, complaint: str
) -> None:
    with pytest.raises(DatasetCorrupt, match=complaint):
        open_split(small("cifar100"), "test", write_cifar(content | change))


@pytest.mark.parametrize("kind", ["<f4", "<i8", "O"])
def test_an_array_of_anything_but_bytes_is_refused(
    content: Content, small: Make, write_cifar: Write, kind: str
) -> None:
    content[b"data"] = np.zeros((6, 3072), kind)
    with pytest.raises(DatasetCorrupt, match="not of bytes"):
        open_split(small("cifar100"), "test", write_cifar(pickle.dumps(content, protocol=2)))


def test_another_number_of_test_images_is_another_track(content: Content, small: Make, write_cifar: Write) -> None:
    data_dir = write_cifar(content)
    with pytest.raises(DatasetCorrupt, match=r"6 test images, track 'cifar100' has 7"):
        open_split(small("cifar100", test_images=7), "test", data_dir)
    with pytest.raises(DatasetCorrupt, match="images of shape"):
        open_split(small("cifar100", input_shape=(3, 64, 64)), "test", data_dir)


class TestRealImages:
    def test_training_statistics_are_the_published_ones(self, cifar100_dir: Path) -> None:
        split = open_split(track("cifar100"), "train", cifar100_dir)
        assert len(split) == 50_000
        assert torch.bincount(split.labels).tolist() == [500] * 100
        images = split.batch(0, 50_000)[0]
        for channel, (mean, std) in enumerate(zip(track("cifar100").mean, track("cifar100").std, strict=True)):
            count = torch.bincount(images[:, channel].flatten(), minlength=256).double()
            values = torch.arange(256, dtype=torch.float64) / 255
            exact_mean = (count * values).sum() / count.sum()
            exact_std = ((count * (values - exact_mean) ** 2).sum() / count.sum()).sqrt()
            # The published values have four digits, and the last of them varies between publications.
            assert abs(exact_mean - mean) < 1e-4
            assert abs(exact_std - std) < 2e-4

    def test_all_test_images_are_there_and_come_quickly(self, cifar100_dir: Path) -> None:
        start = time.perf_counter()
        split = open_split(track("cifar100"), "test", cifar100_dir)
        assert time.perf_counter() - start < 5.0  # 0.1 to 0.25 s on free cores; this bound only catches the absurd
        assert torch.bincount(split.labels).tolist() == [100] * 100
        inputs = normalize(split.batch(0, 10_000)[0], track("cifar100").mean, track("cifar100").std)
        assert inputs.shape == (10_000, 3, 32, 32)
        assert inputs.mean().abs() < 0.02

    def test_calibration_images_come_from_the_training_images(self, cifar100_dir: Path) -> None:
        chosen = calibration_split(track("cifar100"), cifar100_dir, count=50, seed=0)
        train = open_split(track("cifar100"), "train", cifar100_dir)
        known = {image.numpy().tobytes() for image in train.batch(0, len(train))[0]}
        assert len(chosen) == 50
        assert all(image.numpy().tobytes() in known for image in chosen.batch(0, 50)[0])
