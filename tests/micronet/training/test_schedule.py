"""Learning rates by hand."""

import math

import pytest

from micronet.contract import Training
from micronet.training.schedule import learning_rate


def rates(how: Training, steps: int, per_epoch: int = 2) -> list[float]:
    return [learning_rate(how, step, steps, per_epoch) for step in range(steps)]


def test_a_cosine_by_hand() -> None:
    """0.8 * (1 + cos(pi * t / 4)) / 2 at t = 0..3: cosines 1, sqrt(1/2), 0, -sqrt(1/2)."""
    how = Training(learning_rate=0.8)
    half = math.sqrt(0.5)
    assert rates(how, 4) == pytest.approx([0.8, 0.4 * (1 + half), 0.4, 0.4 * (1 - half)])


def test_warm_up_is_linear_and_the_cosine_begins_where_it_ends() -> None:
    """1.5 epochs of 2 steps are 3 steps: 1/3, 2/3, 3/3; then the cosine over the 4 that are left."""
    how = Training(learning_rate=0.6, warmup_epochs=1.5)
    half = math.sqrt(0.5)
    wanted = [0.2, 0.4, 0.6, 0.6, 0.3 * (1 + half), 0.3, 0.3 * (1 - half)]
    assert rates(how, 7) == pytest.approx(wanted)


def test_steps_down_at_their_shares() -> None:
    """Of 8 steps a half are 4, three quarters 6."""
    how = Training(learning_rate=1.0, schedule="step", milestones=(0.5, 0.75), milestone_factor=0.1)
    assert rates(how, 8) == pytest.approx([1.0] * 4 + [0.1] * 2 + [0.01] * 2)


def test_constant_is_constant_after_warm_up() -> None:
    assert rates(Training(learning_rate=0.3, schedule="constant"), 5) == [0.3] * 5
    warm = Training(learning_rate=0.3, schedule="constant", warmup_epochs=1)
    assert rates(warm, 4) == pytest.approx([0.15, 0.3, 0.3, 0.3])


def test_a_training_that_is_all_warm_up_divides_by_nothing() -> None:
    assert rates(Training(learning_rate=0.4, warmup_epochs=10), 2) == pytest.approx([0.02, 0.04])
