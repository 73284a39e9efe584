"""Closing in on what may be lost, in few steps, and ending just below it."""

import math

import pytest

from micronet.optimization.closing_in import NEAR, close_in


@pytest.mark.parametrize("first", [0.02, 1e-4, 3.0])
@pytest.mark.parametrize("power", [0.7, 1.3, 2.5])
def test_closing_in_ends_just_below_what_may_be_lost(first: float, power: float) -> None:
    shares: list[float] = []

    def share_of(loss: float) -> float:
        shares.append((loss / 0.05) ** power)
        return shares[-1]

    close_in(share_of, first, 30)
    assert NEAR <= shares[-1] <= 1
    assert len(shares) <= 12


def test_where_there_is_nothing_in_between_it_ends_as_near_as_it_can() -> None:
    """Two networks only: one loses a third of what may be lost, the other three times as much."""
    losses: list[float] = []

    def share_of(loss: float) -> float:
        losses.append(loss)
        return 1 / 3 if loss < 0.037 else 3.0

    close_in(share_of, 0.02, 60)
    assert len(losses) < 60
    assert max(loss for loss in losses if loss < 0.037) > 0.036


def test_it_stops_when_it_is_told_to_and_where_nothing_may_be_lost() -> None:
    losses: list[float] = []

    def share_of(loss: float) -> float:
        losses.append(loss)
        return math.inf

    close_in(share_of, 0.02, 5)
    assert len(losses) == 5
    assert losses == sorted(losses, reverse=True)


def test_after_enough_steps_whatever_keeps_will_do_and_before_there_is_one_it_goes_on() -> None:
    losses: list[float] = []

    def share_of(loss: float) -> float:
        losses.append(loss)
        return (loss / 0.05) ** 3 if loss < 0.05 else 40.0

    found = close_in(share_of, 0.02, 20, enough=2)
    assert (losses, found) == ([0.02, 0.08], 0.02)
    losses.clear()
    found = close_in(share_of, 30.0, 20, enough=2)
    assert 2 < len(losses) < 20
    assert (found, sum(loss < 0.05 for loss in losses)) == (losses[-1], 1)
