"""Held-out images as hard as test images."""

import pytest

from micronet.optimization.hard_images import HALF, HARD, MOST, share_as_hard


def test_images_are_mixed_until_they_are_as_hard() -> None:
    """The way from 1 to 0.8: half of it is 0.9."""
    assert share_as_hard(lambda share: 1 - share, 0.8, HALF) == pytest.approx(0.1, abs=MOST / 64)
    assert share_as_hard(lambda share: 1 - share, 0.8, HARD) == pytest.approx(0.2, abs=MOST / 64)
    assert share_as_hard(lambda share: 0.7 - share, 0.8, HARD) == 0
    assert share_as_hard(lambda share: 1.0, 0.8, HARD) == MOST
