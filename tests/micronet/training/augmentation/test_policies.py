"""Policies over batches: the same draws for a seed, each image its own, probabilities and order as written down."""

import pytest
import torch
from torch import Tensor

from micronet.contract import Augmentation, AugmentationOperation, AugmentationPolicy, OperationName
from micronet.training.augmentation import Augmenter
from micronet.training.augmentation.operations import OPERATIONS, TRIVIAL
from micronet.training.augmentation.policies import following, operated
from micronet.training.images import TrainingImages
from tests.micronet.training.augmentation.test_operations import pictures
from tests.micronet.training.lessons import digits_task


def policy(*lists: tuple[tuple[OperationName, float, float], ...]) -> AugmentationPolicy:
    return AugmentationPolicy(
        policies=tuple(
            tuple(AugmentationOperation(operation=o, probability=p, magnitude=m) for o, p, m in one) for one in lists
        )
    )


MIXED = policy((("invert", 0.5, 0), ("rotate", 0.5, 0.4)), (("equalize", 1, 0),), (("cutout", 0.9, 1),))
SEVERAL = [Augmentation(policy="trivial"), Augmentation(policy=MIXED), Augmentation(crop=0, flip=False, policy=MIXED)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def augmented(how: Augmentation, images: Tensor, seed: int = 0) -> Tensor:
    return Augmenter(how).on_bytes(images, seeded(seed))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("how", SEVERAL, ids=["trivial", "policy", "policy alone"])
def test_a_seed_gives_the_same_bytes_and_another_others(how: Augmentation, channels: int) -> None:
    images = pictures(channels, 40)
    untouched = images.clone()
    first = augmented(how, images)
    assert torch.equal(first, augmented(how, images))
    assert not torch.equal(first, augmented(how, images, seed=1))
    assert (first.shape, first.dtype) == (images.shape, torch.uint8)
    assert torch.equal(images, untouched)


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_probability_zero_is_never_and_one_is_always(probability: float) -> None:
    images = pictures(3, 40)
    wanted = 255 - images if probability else images
    assert torch.equal(following(policy((("invert", probability, 0.5),)))(images, seeded()), wanted)


def test_a_half_is_half_of_them() -> None:
    """400 coins: 200 heads, 10 standard deviation; all of one image are one coin."""
    images = torch.zeros(400, 1, 2, 2, dtype=torch.uint8)
    inverted = following(policy((("invert", 0.5, 0),)))(images, seeded())
    assert 150 < int((inverted == 255).all((1, 2, 3)).sum()) < 250
    assert set(inverted.sum((1, 2, 3)).tolist()) == {0, 4 * 255}


def test_identity_changes_nothing() -> None:
    images = pictures(3)
    assert torch.equal(following(policy((("identity", 1, 1),)))(images, seeded()), images)


def test_operations_are_done_in_order() -> None:
    """Upper 2 bits, then 255 - x is not 255 - x, then upper 2 bits: 100 gives 64, 191 and 155, 128."""
    image = torch.full((1, 1, 1, 1), 100, dtype=torch.uint8)
    first = following(policy((("posterize", 1, 1), ("invert", 1, 0))))(image, seeded())
    second = following(policy((("invert", 1, 0), ("posterize", 1, 1))))(image, seeded())
    assert (int(first), int(second)) == (255 - 64, 128)


def test_each_image_gets_one_list() -> None:
    images = torch.full((200, 1, 1, 1), 100, dtype=torch.uint8)
    lists = policy((("invert", 1, 0),), (("posterize", 1, 1),), (("identity", 1, 0), ("identity", 1, 0)))
    assert set(following(lists)(images, seeded()).flatten().tolist()) == {155, 64, 100}


def test_grouping_is_doing_each_image_by_itself() -> None:
    """Magnitude 0: no sign matters. 16 operations in turn, each on images at its own places."""
    images, names = pictures(3, 48), list(OPERATIONS)
    numbers = torch.arange(48) % len(names)
    ours = operated(images, numbers, torch.zeros(48), seeded())
    for image, number, result in zip(images, numbers.tolist(), ours, strict=True):
        assert torch.equal(OPERATIONS[names[number]](image[None], torch.zeros(1), seeded())[0], result)


def test_trivial_augment_draws_each_operation_evenly() -> None:
    """White images show five movements, solarize, posterize and darkening, half of brightness: 7.5 of 14 operations.

    Less where a magnitude is too small to show on 8 pixels (a shift under a half pixel: 1 in 16, say): about 0.48.
    """
    images = torch.full((2800, 1, 8, 8), 255, dtype=torch.uint8)
    changed = (augmented(Augmentation(crop=0, flip=False), images) != images).flatten(1).any(1)
    assert len(TRIVIAL) == 14
    assert 0.42 < float(changed.float().mean()) < 7.5 / 14 + 0.03


def test_labels_and_shapes_stay() -> None:
    task = digits_task(images=64)
    images = TrainingImages(task.train, task.device, Augmenter(Augmentation(policy="trivial", cutout=2)))
    indices = torch.tensor([5, 3, 60, 5])
    batch, labels = images.batch(indices, seeded())
    assert torch.equal(labels, task.train.split.labels[indices])
    assert (batch.shape, batch.dtype) == ((4, 1, 8, 8), torch.float32)
