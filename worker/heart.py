"""A running job's signs of life."""

import threading
from types import TracebackType
from typing import Self

import structlog

from worker.errors import ServiceError
from worker.records.leases import Leases
from worker.records.values import Job, Stage, Status

log = structlog.get_logger()


class Heart:
    """Beats for a job in a thread of its own, so that fetching a file or storing one keeps no beat waiting.

    Each beat carries how far the job is, and brings back whether it is to be canceled or was taken away.
    """

    def __init__(self, leases: Leases, job: Job, seconds: float) -> None:
        self._leases, self._job, self._seconds = leases, job, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name=f"heart-{job.id[:8]}", daemon=True)
        self.stage: Stage | None = None
        self.canceled = False
        self.lost = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """No further beat."""
        self._stop.set()
        self._thread.join()

    def _beat_on(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                status = self._leases.beat(self._job, self.stage)
            except ServiceError as error:  # the database is away: while it is, nobody can take the job either
                log.warning("no beat", job=self._job.id, reason=str(error))
                continue
            except Exception:  # a fault of ours must not stop the heart of a job that runs
                log.exception("no beat", job=self._job.id)
                continue
            self.canceled = status is Status.CANCELING
            self.lost = status is None
