"""What keeps jobs from being stuck: dead workers' leases expire, waiting jobs are found though no bell rang."""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
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
    """Tells which of the things it is shown stood still for as long as each may, by this process's monotonic clock.

    A thing that changes is another thing: leases and workers carry a beat that grows. Between two looks at most a third
    of that time counts: while nobody could look, because the database was away or this host slept, nobody could beat
    either.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_look = clock()
        self._still_for: dict[Seen, float] = {}

    def of(self, things: Mapping[Seen, float]) -> frozenset[Seen]:
        """Those that were among the things shown for too long: each for its own number of seconds."""
        now = self._clock()
        step, self._last_look = now - self._last_look, now
        known = self._still_for
        self._still_for = {
            thing: known[thing] + min(step, seconds / _LOOKS) if thing in known else 0.0
            for thing, seconds in things.items()
        }
        return frozenset(thing for thing, still in self._still_for.items() if still >= things[thing])


class RollCall:
    """Tells workers that live from those whose beat stood still for too long, to one who looks again and again.

    `seconds`: how long that is for a worker that has not said so itself. Any number of threads may look.
    """

    def __init__(self, workers: Workers, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._workers, self._seconds, self._lock = workers, seconds, threading.Lock()
        self._beats: Stillness[tuple[str, int]] = Stillness(clock)

    def taken(self) -> tuple[tuple[WorkerSeen, ...], tuple[WorkerSeen, ...]]:
        """The living and the dead. Raises ServiceError."""
        workers = self._workers.all()
        beats = {(worker.id, worker.beat): _said_or(worker.lease_seconds, self._seconds) for worker in workers}
        with self._lock:
            still = self._beats.of(beats)
        living = tuple(worker for worker in workers if (worker.id, worker.beat) not in still)
        return living, tuple(worker for worker in workers if (worker.id, worker.beat) in still)


class Reconciler:
    """Looks, every few seconds, for what no message will ever tell.

    `lease_seconds`: of the lease of a worker that has not said how long it is.
    """

    def __init__(self, records: Records, lease_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._records, self._lease_seconds = records, lease_seconds
        self._leases: Stillness[Lease] = Stillness(clock)
        self._roll = RollCall(records.workers, lease_seconds, clock)

    def take_back(self) -> int:
        """Expire the leases of workers that gave no sign of life for the length of their lease; how many."""
        expired = 0
        held = {lease: _said_or(lease.seconds, self._lease_seconds) for lease in self._records.leases.held()}
        for lease in self._leases.of(held):
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


def _said_or(seconds: float | None, ours: float) -> float:
    """How long the silence of a worker may last: what it said, or, of a version that says nothing, what we would."""
    return ours if seconds is None else seconds
