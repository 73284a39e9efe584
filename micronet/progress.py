"""How a job says where it is."""

from collections.abc import Callable
from typing import Protocol

Advance = Callable[[int, int, str], None]
"""Hears that `done` of `total` units are finished."""


class Progress(Protocol):
    """Told of each stage as it begins, and of how far it is."""

    def stage(self, name: str, index: int, count: int) -> None:
        """Stage `name`, the `index`-th (from 1) of `count`, begins."""

    def advance(self, done: int, total: int, unit: str) -> None:
        """`done` of `total` units of the current stage are finished."""


def unheard(done: int, total: int, unit: str) -> None:
    """Nobody listens."""


class Silence:
    """Nobody listens."""

    def stage(self, name: str, index: int, count: int) -> None:
        """Nothing."""

    def advance(self, done: int, total: int, unit: str) -> None:
        """Nothing."""
