"""The port that wakes workers when a job waits. A ring may be lost, late or doubled: workers look anyway."""

from typing import Protocol


class Doorbell(Protocol):
    """Wakes a worker."""

    def ring(self, job_id: str, lane: str) -> None:
        """A job waits. Returns at once and never fails: a bell that does not ring costs seconds, not a job."""

    def close(self) -> None:
        """Nothing more will be rung."""


class SilentBell:
    """The twin for tests: remembers, wakes nobody."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, str]] = []

    def ring(self, job_id: str, lane: str) -> None:
        """Remember it."""
        self.rung.append((job_id, lane))

    def close(self) -> None:
        """Nothing."""
