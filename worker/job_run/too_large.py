"""Jobs whose files found no room on the disk of this worker: others go first for a while."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

_PAUSE_SECONDS = 600.0  # that such a job is left to other workers, and to others that end meanwhile and make room
_FORGOTTEN_AFTER_SECONDS = 24 * 3600.0


@dataclass(slots=True)
class _Found:
    times: int
    until: float


class TooLarge:
    """Which jobs those are, of this very process. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._found: dict[str, _Found] = {}

    def add(self, job_id: str) -> int:
        """The job found no room, and is not to be claimed for a while; how often it did by now."""
        now = self._clock()
        with self._lock:
            oldest = now - _FORGOTTEN_AFTER_SECONDS
            self._found = {other: found for other, found in self._found.items() if found.until > oldest}
            found = self._found.setdefault(job_id, _Found(0, now))
            found.times, found.until = found.times + 1, now + _PAUSE_SECONDS
            return found.times

    def resting(self) -> tuple[str, ...]:
        """Those that are not to be claimed now."""
        now = self._clock()
        with self._lock:
            return tuple(job_id for job_id, found in self._found.items() if found.until > now)
