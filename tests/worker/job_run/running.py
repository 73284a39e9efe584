"""Running a job without a process: stores and runners that do as they are told."""

import errno
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from tests.worker.records.making import new_job
from worker.blobs import Incoming
from worker.blobs.memory import MemoryBlobs
from worker.errors import RunnerUnavailable
from worker.job_run.context import WorkerContext
from worker.job_run.run import run_job
from worker.limits import JobLimits
from worker.records.values import Job
from worker.runner import Runner
from worker.runner.messages import Done, Exited, JobRequest, Message

MADE = b"what the job made"
NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
FORBIDDEN = OSError(errno.EACCES, os.strerror(errno.EACCES))


class FailingBlobs(MemoryBlobs):
    """A store that fails as it is told to.

    trouble          is raised by the next calls, one each
    ill              is raised by all calls, until it was asked `recovers_after` times whether it works
    """

    def __init__(self) -> None:
        super().__init__()
        self.trouble: list[Exception] = []
        self.ill: Exception | None = None
        self.recovers_after = 3

    def open(self, location: str) -> BinaryIO:
        self._fail(self.trouble)
        return super().open(location)

    def create(self) -> Incoming:
        self._fail(self.trouble)
        return super().create()

    def identity(self) -> str | None:
        self._fail()
        return super().identity()

    def check(self) -> None:
        self.recovers_after -= 1
        if self.recovers_after == 0:
            self.ill = None
        self._fail()

    def _fail(self, trouble: list[Exception] | None = None) -> None:
        if self.ill is not None:
            raise self.ill
        if trouble:
            raise trouble.pop(0)


class QuickRunner:
    """Does every job at once, says what it is told to, and leaves files. `meanwhile` is done while the job runs.

    ended   its last words
    asked   how often somebody wanted to know whether it is ready, which it is the second time
    """

    def __init__(
        self,
        meanwhile: Callable[[], object] = lambda: None,
        said: Sequence[Message] = (),
        made: Sequence[bytes] = (MADE,),
        ended: Sequence[Message] = (Done(), Exited(0)),
    ) -> None:
        self._meanwhile, self.said, self._made = meanwhile, said, made
        self.ended = ended
        self.checkpoint, self.journal = b"", b""
        self.stage = None
        self.asked = 0

    @property
    def ready(self) -> bool:
        self.asked += 1
        return self.asked > 1

    def run(self, _: JobRequest, scratch: Path, __: JobLimits, ___: Callable[[], bool]) -> "QuickRunner":
        self.checkpoint = (scratch / "in" / "checkpoint").read_bytes()
        for number, content in enumerate(self._made):
            (scratch / "out" / f"{number}-made.onnx").write_bytes(content)
        epoch = scratch / "journal" / "epoch"
        self.journal = epoch.read_bytes() if epoch.exists() else b""
        epoch.write_bytes(b"two weeks of training")
        self._meanwhile()
        return self

    def messages(self, _: float) -> list[Message]:
        return [*self.said, *self.ended]

    def log_tail(self, _: int) -> bytes:
        return b""

    def over_limit(self) -> None:
        return None

    def kill(self) -> bool:
        return True


class BusyRunner(QuickRunner):
    """Its spare never gets warm: after `patience` seconds it gives up."""

    def __init__(self, patience: float) -> None:
        super().__init__()
        self._patience = patience

    def run(self, _: JobRequest, __: Path, ___: JobLimits, interrupted: Callable[[], bool]) -> QuickRunner:
        deadline = time.monotonic() + self._patience
        while not interrupted() and time.monotonic() < deadline:
            time.sleep(0.01)
        raise RunnerUnavailable("no spare was warm")


def claimed(context: WorkerContext, lane: str = "short") -> Job:
    with context.blobs.create() as incoming:
        incoming.write(b"a checkpoint")
        blob = incoming.keep()
        context.records.blobs.add(blob, "")
    context.records.jobs.submit(new_job(blob, kind="fuse", lane=lane), None, 10)
    return claimed_again(context, lane)


def claimed_again(context: WorkerContext, lane: str) -> Job:
    job = context.records.leases.claim("w", (lane,))
    assert job is not None
    return job


def read(context: WorkerContext, sha256: str) -> bytes:
    """A recorded file."""
    blob = context.records.blobs.find(sha256, "")
    assert blob is not None
    with context.blobs.open(blob.location) as source:
        return source.read()


def ran(context: WorkerContext, job: Job, runner: QuickRunner) -> Job:
    run_job(context, job, cast(Runner, runner), "cpu")
    return context.records.jobs.read(job.id)
