"""Jobs whose files found no room, on the disk of this worker or in the store: others go first for a while."""

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
        """The job found no room on the disk, and is not to be claimed for a while; how often it did by now."""
        with self._lock:
            found = self._put_off(job_id)
            found.times += 1
            return found.times

    def put_off(self, job_id: str) -> None:
        """What the job made found no room in the store, and it is not to be claimed for a while."""
        with self._lock:
            self._put_off(job_id)

    def resting(self) -> tuple[str, ...]:
        """Those that are not to be claimed now."""
        now = self._clock()
        with self._lock:
            return tuple(job_id for job_id, found in self._found.items() if found.until > now)

    def _put_off(self, job_id: str) -> _Found:
        now = self._clock()
        oldest = now - _FORGOTTEN_AFTER_SECONDS
        self._found = {other: found for other, found in self._found.items() if found.until > oldest}
        found = self._found.setdefault(job_id, _Found(0, now))
        found.until = now + _PAUSE_SECONDS
        return found
