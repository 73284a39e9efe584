"""The heartbeat of a running job: renews its lease, tells how far it is, hears that it is canceled or taken away."""

import threading
import time
from dataclasses import replace
from types import TracebackType
from typing import Self

import structlog

from worker.errors import ServiceError
from worker.job_run.pace import Pace
from worker.job_run.threads import start
from worker.records.clock import now
from worker.records.leases import Leases
from worker.records.values import Event, Job, LogEntry, Stage, Status

log = structlog.get_logger()


class Heartbeat:
    """Renews the lease of a job from a thread of its own, so that fetching or storing a file delays no beat.

    `seconds`: between two beats. `lease_seconds`: after so long without one somebody else may have the job. Each beat
    writes how far the job is, and reads whether it is to be canceled or was taken away. If the database rejects a
    progress value, the beat is sent without it.
    """

    def __init__(self, leases: Leases, job: Job, seconds: float, lease_seconds: float) -> None:
        self._leases, self._job, self._seconds, self._lease_seconds = leases, job, seconds, lease_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name=f"heartbeat-{job.id[:8]}", daemon=True)
        self._pace = Pace()
        self._begun: list[LogEntry] = []
        self.stage: Stage | None = None
        self.canceled = False
        self.lost = False

    def __enter__(self) -> Self:
        """Begin. Raises RunnerUnavailable."""
        start(self._thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def begun(self) -> tuple[LogEntry, ...]:
        """Stages that began and that no beat has told of yet."""
        return tuple(self._begun)

    def begin(self, name: str, index: int, count: int) -> None:
        """The job begins a stage; the next beat tells of it, however many begin before that."""
        self._begun.append(LogEntry(now(), Event.STAGE, f"{name} ({index} of {count})"))
        self._pace = Pace()
        self.stage = Stage(name, index, count)

    def advance(self, done: int, total: int, unit: str) -> None:
        """The stage is so far; a job that has begun none is not."""
        if self.stage is not None:
            rate = self._pace.rate(done, unit)
            self.stage = replace(self.stage, done=done, total=total, unit=unit, rate=rate)

    def stop(self) -> None:
        """No further beat."""
        self._stop.set()
        self._thread.join()

    def _beat_on(self) -> None:
        silence, tried = 0.0, time.monotonic()
        while not self._stop.wait(self._seconds):
            step, tried = time.monotonic() - tried, time.monotonic()
            try:
                status = self._beat()
            except ServiceError as error:  # the database is away: while it is, nobody can take the job either
                log.warning("no beat", job=self._job.id, reason=str(error))
                continue
            except Exception:  # a fault of our code must not end a job that runs
                log.exception("no beat", job=self._job.id)
                silence += step
                self.lost = self.lost or silence >= self._lease_seconds
                continue
            silence = 0.0
            self.canceled = status is Status.CANCELING
            self.lost = status is None

    def _beat(self) -> Status | None:
        """One beat, with the stage or, where it is the stage that cannot be written, without."""
        begun = self.begun
        try:
            status = self._leases.beat(self._job, self.stage, begun)
        except ServiceError:
            raise
        except Exception:
            status = self._leases.beat(self._job, None)
            log.exception("beat without its stage", job=self._job.id)
        del self._begun[: len(begun)]  # others only ever append
        return status
