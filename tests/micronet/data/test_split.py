"""Laws of splits: how the images are cut into batches changes nothing, and a seed means the same everywhere."""

import hashlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from micronet.data.split import Pixels, Split, normalize, seeded_order

IMAGES = torch.arange(10 * 3 * 2 * 2, dtype=torch.uint8).view(10, 3, 2, 2)
LABELS = torch.arange(10)
SPLIT = Split.of("ten", IMAGES, LABELS)


@given(st.integers(1, 12))
def test_a_batch_split_changes_nothing(size: int) -> None:
    batches = list(SPLIT.batches(size))
    assert torch.equal(torch.cat([images for images, _ in batches]), IMAGES)
    assert torch.equal(torch.cat([labels for _, labels in batches]), LABELS)
    assert all(len(images) == size for images, _ in batches[:-1])


def test_batches_end_at_the_last_image_and_refuse_nonsense() -> None:
    assert len(SPLIT.batch(8, 100)[1]) == 2
    assert len(SPLIT.batch(3, 3)[1]) == 0
    with pytest.raises(IndexError):
        SPLIT.batch(-1, 3)
    with pytest.raises(IndexError):
        SPLIT.batch(3, 2)
    with pytest.raises(ValueError, match="at least 1"):
        SPLIT.batches(0)


def test_take_follows_the_indices() -> None:
    images, labels = SPLIT.take(torch.tensor([7, 0, 7]))
    assert labels.tolist() == [7, 0, 7]
    assert torch.equal(images, IMAGES[[7, 0, 7]])


def test_a_seed_gives_the_same_order_for_ever() -> None:
    # random.Random(0).random() begins .84 .76 .42 .26 .51 .40 .78 .30 .48 .58
    assert seeded_order(10, seed=0) == [3, 7, 5, 2, 8, 4, 9, 1, 6, 0]


@given(st.integers(0, 200), st.integers())
def test_an_order_is_a_permutation(count: int, seed: int) -> None:
    assert sorted(seeded_order(count, seed)) == list(range(count))


class _Lazy:
    """Images that are no tensor, as those of a folder."""

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: slice | torch.Tensor) -> torch.Tensor:
        return IMAGES[index]


@pytest.mark.parametrize("images", [IMAGES, Pixels(IMAGES.numpy()), _Lazy()], ids=["tensor", "pixels", "lazy"])
def test_a_subset_is_the_beginning_of_the_seeded_order(images: object) -> None:
    split = Split("ten", images, LABELS, "0" * 64, ("a warning",))  # type: ignore[arg-type]
    four, six = split.subset(4, seed=3), split.subset(6, seed=3)
    assert four.labels.tolist() == seeded_order(10, 3)[:4]
    assert torch.equal(four.batch(0, 4)[0], IMAGES[four.labels])
    assert torch.equal(six.batch(0, 4)[0], four.batch(0, 4)[0])
    assert torch.equal(six.take(torch.tensor([5, 1]))[0], IMAGES[six.labels[[5, 1]]])
    assert four.warnings == ("a warning",)
    assert four.sha256 not in (six.sha256, split.subset(4, seed=4).sha256, split.sha256)


def test_a_subset_has_at_least_one_image_and_at_most_all() -> None:
    assert len(SPLIT.subset(100, seed=0)) == 10
    with pytest.raises(ValueError, match="at least 1"):
        SPLIT.subset(0, seed=0)


def test_sha256_is_of_pixels_then_labels() -> None:
    labels = b"".join(n.to_bytes(8, "little") for n in range(10))
    assert SPLIT.sha256 == hashlib.sha256(bytes(range(120)) + labels).hexdigest()


def test_normalize_is_the_formula_in_float32() -> None:
    mean, std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    every_value = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16)
    got = normalize(every_value, mean, std)
    assert got.dtype == torch.float32
    for channel in range(3):
        plain = (every_value[:, channel].float() / 255 - torch.tensor(mean[channel])) / torch.tensor(std[channel])
        exact = (every_value[:, channel].double() / 255 - mean[channel]) / std[channel]
        assert torch.equal(got[:, channel], plain)
        assert (got[:, channel] - exact).abs().max() < 1e-6


def test_normalize_wants_one_value_per_channel() -> None:
    with pytest.raises(ValueError, match="one per channel"):
        normalize(IMAGES, (0.5,), (0.5,))
