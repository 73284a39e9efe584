"""Image folders: the order of classes and files, the cut, and damage named."""

import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from micronet.data.datasets import open_split
from micronet.errors import DatasetCorrupt, DatasetMissing
from micronet.tracks import BUILT_IN, Track


def _track(images: int, side: int = 224, channels: int = 3, dataset: str = "imagenet") -> Track:
    changes = {"classes": 2, "test_images": images, "input_shape": (channels, side, side), "dataset": dataset}
    return BUILT_IN["imagenet"].model_copy(update=changes)


def _picture(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.RandomState(seed).randint(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Two classes, three images, and a file that is no image."""
    for name, seed in (("n02/b.JPEG", 1), ("n02/a.png", 2), ("n01/z.jpg", 3)):
        path = tmp_path / "imagenet" / "val" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _picture(300, 280, seed).save(path)
    (tmp_path / "imagenet" / "val" / "n01" / "notes.txt").write_text("no image")
    return tmp_path


def test_classes_and_files_are_in_the_order_of_their_names(data_dir: Path) -> None:
    split = open_split(_track(3), "test", data_dir)
    assert split.labels.tolist() == [0, 1, 1]
    assert list(split.images.paths) == ["n01/z.jpg", "n02/a.png", "n02/b.JPEG"]  # type: ignore[attr-defined]
    images, labels = split.batch(0, 3)
    assert (images.shape, images.dtype) == ((3, 3, 224, 224), torch.uint8)
    assert torch.equal(split.batch(1, 3)[0], images[1:])
    assert torch.equal(split.subset(2, seed=0).batch(0, 2)[0], images[[2, 1]])  # the order of seed 0 is 2, 1, 0
    assert split.batch(2, 2)[0].shape == (0, 3, 224, 224)
    assert labels.tolist() == [0, 1, 1]


def test_sha256_is_of_names_and_sizes(data_dir: Path) -> None:
    root = data_dir / "imagenet" / "val"
    names = ["n01/z.jpg", "n02/a.png", "n02/b.JPEG"]
    lines = "".join(f"{name} {(root / name).stat().st_size}\n" for name in names)
    assert open_split(_track(3), "test", data_dir).sha256 == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    ("size", "resized", "corner"),
    [((512, 320), (409, 256), (92, 16)), ((320, 512), (256, 409), (16, 92)), ((256, 256), (256, 256), (16, 16))],
)
def test_the_shorter_side_becomes_256_and_the_middle_is_cut_out(
    data_dir: Path, size: tuple[int, int], resized: tuple[int, int], corner: tuple[int, int]
) -> None:
    """512x320: 512 * 256 / 320 = 409.6, down to 409; (409 - 224) / 2 = 92.5, half to even 92; (256 - 224) / 2 = 16."""
    picture = _picture(*size)
    picture.save(data_dir / "imagenet" / "val" / "n02" / "a.png")
    left, top = corner
    whole = np.asarray(picture.resize(resized, Image.Resampling.BILINEAR))
    expected = whole[top : top + 224, left : left + 224].transpose(2, 0, 1)
    np.testing.assert_array_equal(open_split(_track(3), "test", data_dir).batch(1, 2)[0][0].numpy(), expected)


def test_a_picture_of_the_resized_size_is_only_cut(data_dir: Path) -> None:
    """8x8 inputs: the shorter side becomes round(8 / 0.875) = 9, half of (9 - 8) rounds to 0."""
    picture = _picture(9, 9)
    picture.save(data_dir / "imagenet" / "val" / "n02" / "a.png")
    got = open_split(_track(3, side=8), "test", data_dir).batch(1, 2)[0][0]
    np.testing.assert_array_equal(got.numpy(), np.asarray(picture)[:8, :8].transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_every_colour_mode_becomes_that_of_the_track(data_dir: Path, mode: str) -> None:
    _picture(300, 300).convert(mode).save(data_dir / "imagenet" / "val" / "n02" / "b.JPEG")
    assert open_split(_track(3), "test", data_dir).batch(2, 3)[0].shape == (1, 3, 224, 224)
    assert open_split(_track(3, channels=1), "test", data_dir).batch(2, 3)[0].shape == (1, 1, 224, 224)


def test_a_directory_without_a_row_in_the_table_is_read_the_same_way(data_dir: Path) -> None:
    (data_dir / "imagenet").rename(data_dir / "birds")
    assert len(open_split(_track(3, dataset="birds"), "test", data_dir)) == 3


def test_what_is_missing_is_named(data_dir: Path) -> None:
    with pytest.raises(DatasetMissing, match="imagenet/train"):
        open_split(_track(3), "train", data_dir)
    with pytest.raises(DatasetCorrupt, match="3 test images, track 'imagenet' has 4"):
        open_split(_track(4), "test", data_dir)
    (data_dir / "imagenet" / "val" / "n03").mkdir()
    with pytest.raises(DatasetCorrupt, match="3 class directories, and track 'imagenet' has 2"):
        open_split(_track(3), "test", data_dir)
    (data_dir / "imagenet" / "val" / "n03").rmdir()
    (data_dir / "imagenet" / "val" / "n01" / "z.jpg").unlink()
    with pytest.raises(DatasetCorrupt, match=r"n01: no images"):
        open_split(_track(3), "test", data_dir)


def test_an_image_that_cannot_be_decoded_is_named(data_dir: Path) -> None:
    path = data_dir / "imagenet" / "val" / "n02" / "b.JPEG"
    path.write_bytes(path.read_bytes()[:2000])
    split = open_split(_track(3), "test", data_dir)
    with pytest.raises(DatasetCorrupt, match=r"b\.JPEG: cannot be decoded"):
        split.batch(0, 3)
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")  # formats nobody asked for are not tried
    with pytest.raises(DatasetCorrupt, match=r"b\.JPEG: cannot be decoded"):
        split.batch(0, 3)


@pytest.mark.parametrize("side", [8_200, 40_000])
def test_a_picture_of_absurd_size_is_refused_before_decoding(data_dir: Path, side: int) -> None:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    body = struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    empty = b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    (data_dir / "imagenet" / "val" / "n02" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body + empty)
    with pytest.raises(DatasetCorrupt, match=r"a\.png: .*pixels"):
        open_split(_track(3), "test", data_dir).batch(1, 2)
