"""What keeps jobs from being stuck: dead workers' leases expire, waiting jobs are found though no bell rang."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import structlog

from worker.records import Records
from worker.records.values import Lease, WorkerSeen
from worker.records.workers import Workers

log = structlog.get_logger()
Seen = TypeVar("Seen", bound=Hashable)

_LOOKS = 3
"""A lease ends after so many looks at least, however far apart they are."""


class Stillness(Generic[Seen]):
    """Tells which of the things it is shown have not changed for `seconds`, by this process's monotonic clock.

    A thing that changes is another thing: leases and workers carry a beat that grows. Between two looks at most
    `longest_step` seconds count: while nobody could look, because the database was away or this host slept, nobody
    could beat either.
    """

    def __init__(self, seconds: float, longest_step: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._longest_step, self._clock = seconds, longest_step, clock
        self._last_look = clock()
        self._still_for: dict[Seen, float] = {}

    def of(self, things: frozenset[Seen]) -> frozenset[Seen]:
        """Those of `things` that were among the things shown for so long."""
        now = self._clock()
        step, self._last_look = min(now - self._last_look, self._longest_step), now
        known = self._still_for
        self._still_for = {thing: known[thing] + step if thing in known else 0.0 for thing in things}
        return frozenset(thing for thing, still in self._still_for.items() if still >= self._seconds)


class RollCall:
    """Tells workers that live from those whose beat stood still for `seconds`, to one who looks again and again.

    Any number of threads may look.
    """

    def __init__(self, workers: Workers, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers, self._lock = workers, threading.Lock()
        self._beats: Stillness[tuple[str, int]] = Stillness(seconds, seconds / _LOOKS, clock)

    def taken(self) -> tuple[tuple[WorkerSeen, ...], tuple[WorkerSeen, ...]]:
        """The living and the dead. Raises ServiceError."""
        workers = self._workers.all()
        with self._lock:
            still = self._beats.of(frozenset((worker.id, worker.beat) for worker in workers))
        living = tuple(worker for worker in workers if (worker.id, worker.beat) not in still)
        return living, tuple(worker for worker in workers if (worker.id, worker.beat) in still)


class Reconciler:
    """Looks, every few seconds, for what no message will ever tell."""

    def __init__(self, records: Records, lease_seconds: float) -> None:
        self._records = records
        self._leases: Stillness[Lease] = Stillness(lease_seconds, lease_seconds / _LOOKS)
        self._roll = RollCall(records.workers, lease_seconds)

    def take_back(self) -> int:
        """Expire the leases of workers that gave no sign of life for the length of a lease; how many."""
        expired = 0
        for lease in self._leases.of(frozenset(self._records.leases.held())):
            status = self._records.leases.expire(lease)
            if status is not None:
                expired += 1
                log.warning("lease expired", job=lease.job_id, now=status.value)
        return expired

    def forget_dead_workers(self) -> None:
        """Remove the records of workers that stand still."""
        _, dead = self._roll.taken()
        for worker in dead:
            self._records.workers.remove(worker.id)
            log.warning("worker gone", worker=worker.id)
