"""Targets and mixtures by hand, and that they add up."""

import pytest
import torch
from torch.nn import functional as F

from micronet.contract import Training
from micronet.training.mixing import _beta, cutmix, mix, mixup, soft_targets

GENERATOR = torch.Generator


def test_soft_targets_by_hand() -> None:
    """Smoothing 0.2 over 4 classes: 0.05 each, and 0.8 more for the label."""
    targets = soft_targets(torch.tensor([2, 0]), 4, 0.2)
    torch.testing.assert_close(targets, torch.tensor([[0.05, 0.05, 0.85, 0.05], [0.85, 0.05, 0.05, 0.05]]))


def test_soft_targets_are_torchs_label_smoothing() -> None:
    logits, labels = torch.randn(6, 5, generator=GENERATOR().manual_seed(0)), torch.tensor([0, 4, 2, 2, 1, 3])
    ours = F.cross_entropy(logits, soft_targets(labels, 5, 0.1))
    torch.testing.assert_close(ours, F.cross_entropy(logits, labels, label_smoothing=0.1))


def test_mixup_by_hand() -> None:
    """A quarter of 4 and three quarters of 8 are 7."""
    images = torch.tensor([4.0, 8.0]).view(2, 1, 1, 1)
    mixed, targets = mixup(images, torch.eye(2), torch.tensor([1, 0]), 0.25, GENERATOR())
    assert mixed.flatten().tolist() == [7.0, 5.0]
    assert targets.tolist() == [[0.25, 0.75], [0.75, 0.25]]


@pytest.mark.parametrize("seed", range(20))
def test_cutmix_weighs_targets_by_area(seed: int) -> None:
    """Black and white images: what is white in the black one is its share of the partner's target."""
    images = torch.stack([torch.zeros(1, 6, 9), torch.ones(1, 6, 9)])
    mixed, targets = cutmix(images, torch.eye(2), torch.tensor([1, 0]), 0.5, GENERATOR().manual_seed(seed))
    white = float(mixed[0].mean())
    assert white <= 0.5
    torch.testing.assert_close(targets, torch.tensor([[1 - white, white], [white, 1 - white]]))
    torch.testing.assert_close(mixed[0], 1 - mixed[1])
    rows, columns = mixed[0, 0].amax(1), mixed[0, 0].amax(0)
    assert torch.equal(mixed[0, 0], rows[:, None] * columns[None])  # a rectangle


def test_nothing_to_mix_changes_and_draws_nothing() -> None:
    images, targets, generator = torch.rand(3, 1, 4, 4), torch.eye(3), GENERATOR().manual_seed(0)
    mixed = mix(images, targets, Training(), generator)
    assert mixed[0] is images
    assert mixed[1] is targets
    assert torch.equal(generator.get_state(), GENERATOR().manual_seed(0).get_state())


@pytest.mark.parametrize("how", [Training(mixup=0.3), Training(cutmix=1), Training(mixup=0.3, cutmix=1)])
def test_targets_stay_probabilities_and_a_seed_mixes_the_same(how: Training) -> None:
    images, targets = torch.rand(16, 1, 4, 4), soft_targets(torch.arange(16) % 4, 4, 0.1)
    for seed in range(10):
        one, other = (mix(images, targets, how, GENERATOR().manual_seed(seed)) for _ in range(2))
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])
        torch.testing.assert_close(one[1].sum(1), torch.ones(16))


def test_with_both_ways_a_coin_chooses() -> None:
    """Of 60 batches each way has some: mixup leaves no pixel of black and white as it was, cutmix leaves all."""
    images = torch.stack([torch.zeros(1, 4, 4), torch.ones(1, 4, 4)] * 8)
    how, generator = Training(mixup=1, cutmix=1), GENERATOR().manual_seed(0)
    pure = [
        bool(((m := mix(images, torch.eye(16), how, generator)[0]) == 0).logical_or(m == 1).all()) for _ in range(60)
    ]
    assert 15 < sum(pure) < 45


def test_a_share_that_is_all_or_nothing_is_never_half() -> None:
    """Both draws of a gamma distribution of so small a parameter are too small for a number at times."""
    generator = GENERATOR().manual_seed(0)
    shares = [_beta(0.001, generator) for _ in range(300)]
    assert {round(share) for share in shares} == {0, 1}
    assert 0.5 not in shares
