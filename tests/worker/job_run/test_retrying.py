"""What stays away for a while is waited for, unless the job may not go on."""

import errno
import io
import os
import time
from collections.abc import Callable
from threading import Timer
from typing import BinaryIO

import pytest

from tests.worker.job_run.running import MADE, NO_ROOM, BusyRunner, FailingBlobs, QuickRunner, claimed, ran, read
from worker.blobs import Incoming
from worker.blobs.port import CHUNK
from worker.errors import StorageFull, Unavailable
from worker.job_run.context import WorkerContext
from worker.records.values import Job, JournalEntry, Status
from worker.runner.messages import Done, Exited, Failed, JobError

LOSS = JobError(code="numerical-error", title="x", detail="the loss is nan", stage="2-train", yours=True)


def test_a_store_that_is_away_for_a_while_fails_no_job(context: WorkerContext, blobs: FailingBlobs) -> None:
    job = claimed(context)
    blobs.trouble = [OSError("the blob store does not answer"), OSError(errno.EIO, os.strerror(errno.EIO))]
    runner = QuickRunner(lambda: blobs.trouble.append(OSError("the blob store does not take the file")))
    ended = ran(context, job, runner)
    assert (ended.status, ended.attempt, runner.checkpoint) == (Status.SUCCEEDED, 1, b"a checkpoint")
    assert [artifact.size for artifact in ended.artifacts] == [len(MADE)]
    assert blobs.trouble == []


@pytest.mark.parametrize("error", [Unavailable("the database does not answer"), StorageFull("its disk is full")])
def test_a_database_that_is_away_or_full_for_a_while_fails_no_job_and_makes_no_copies(
    context: WorkerContext, blobs: FailingBlobs, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(context)
    finish, trouble = context.records.leases.finish, [error] * 3

    def finish_later(*arguments: object) -> object:
        if trouble:
            raise trouble.pop()
        return finish(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(context.records.leases, "finish", finish_later)
    assert ran(context, job, QuickRunner()).status is Status.SUCCEEDED
    assert trouble == []
    assert list(blobs.files.values()).count(MADE) == 1


def test_files_that_find_no_room_for_a_while_are_waited_for(context: WorkerContext, blobs: FailingBlobs) -> None:
    runner = QuickRunner(lambda: blobs.trouble.extend([NO_ROOM] * 3), made=(b"first", b"second"))
    ended = ran(context, claimed(context), runner)
    assert (ended.status, ended.attempt, runner.asked) == (Status.SUCCEEDED, 1, 0)
    assert sorted(blobs.files.values()) == [b"a checkpoint", b"first", b"second"]


def test_a_store_that_is_not_mounted_for_a_moment_keeps_no_job_waiting(
    context: WorkerContext, blobs: FailingBlobs
) -> None:
    job, runner = claimed(context), QuickRunner()
    blobs.trouble = [Unavailable("the store is not mounted")]
    assert ran(context, job, runner).status is Status.SUCCEEDED
    assert runner.asked == 0


def test_a_worker_that_stops_while_the_database_is_away_gives_its_job_back(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(context)

    def finish_never(*_: object) -> object:
        context.stopping.set()
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(context.records.leases, "finish", finish_never)
    assert ran(context, job, QuickRunner()).status is Status.QUEUED


def test_a_job_that_waits_for_its_file_can_be_canceled(context: WorkerContext, blobs: FailingBlobs) -> None:
    job = claimed(context)
    blobs.trouble = [OSError("the blob store does not answer")] * 10_000
    Timer(0.2, context.records.jobs.cancel, [job.id]).start()
    assert ran(context, job, QuickRunner()).status is Status.CANCELED


def test_a_worker_that_stops_gives_back_a_job_that_waits_for_its_file(
    context: WorkerContext, blobs: FailingBlobs
) -> None:
    job = claimed(context)
    blobs.trouble = [OSError("the blob store does not answer")] * 10_000
    Timer(0.2, context.stopping.set).start()
    back = ran(context, job, QuickRunner())
    assert (back.status, back.attempt) == (Status.QUEUED, 0)


class Slow(io.BytesIO):
    """A byte every hundredth of a second, for five."""

    def read(self, _: int | None = -1) -> bytes:
        time.sleep(0.01)
        return super().read(1)


@pytest.mark.parametrize("lane", ["short", "long"])
@pytest.mark.parametrize("cancel", [False, True])
def test_a_job_whose_file_comes_slowly_is_canceled_or_given_back_at_once(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch, lane: str, cancel: bool
) -> None:
    job = claimed(context, lane)
    if lane == "long":
        with blobs.create() as incoming:
            incoming.write(b"of its journal")
            context.records.journal.write(job, JournalEntry("epoch", incoming.keep()))
    opened = list[str]()

    def open_slowly(location: str) -> BinaryIO:
        opened.append(location)
        return Slow(b"x" * 500) if len(opened) == (1 if lane == "short" else 2) else io.BytesIO(blobs.files[location])

    monkeypatch.setattr(blobs, "open", open_slowly)
    Timer(0.2, context.records.jobs.cancel if cancel else context.stopping.set, [job.id] if cancel else []).start()
    began = time.monotonic()
    ended = ran(context, job, QuickRunner())
    assert (ended.status, ended.attempt) == ((Status.CANCELED, 1) if cancel else (Status.QUEUED, 0))
    assert len(opened) == (1 if lane == "short" else 2)
    assert time.monotonic() - began < 4


def stops(context: WorkerContext, job: Job) -> None:
    context.stopping.set()


def is_canceled(context: WorkerContext, job: Job) -> None:
    context.records.jobs.cancel(job.id)
    time.sleep(0.1)  # it is heard


def gives_it_back(context: WorkerContext, job: Job) -> None:
    """As a worker does that stops and no longer waits."""
    context.records.leases.give_back(job)
    time.sleep(0.1)  # it is heard


def acting_at_a_write(blobs: FailingBlobs, act: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of what is written, which fill up; `act` is done before each."""
    written, create = list[int](), blobs.create

    def create_slowly() -> Incoming:
        incoming = create()
        write = incoming.write

        def act_and_write(data: bytes | bytearray | memoryview) -> None:
            written.append(len(data))
            act()
            write(data)

        monkeypatch.setattr(incoming, "write", act_and_write)
        return incoming

    monkeypatch.setattr(blobs, "create", create_slowly)
    return written


@pytest.mark.parametrize("act", [stops, is_canceled])
@pytest.mark.parametrize("end", [Done(), Failed(LOSS)])
def test_what_a_job_has_made_is_copied_to_the_end_though_its_worker_stops_or_it_is_canceled(
    context: WorkerContext,
    blobs: FailingBlobs,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[WorkerContext, Job], None],
    end: Done | Failed,
) -> None:
    job, made = claimed(context), (bytes(CHUNK + 1), b"second")
    written = acting_at_a_write(blobs, lambda: act(context, job), monkeypatch)
    ended = ran(context, job, QuickRunner(made=made, ended=(end, Exited(int(isinstance(end, Failed))))))
    uncanceled = Status.FAILED if isinstance(end, Failed) else Status.SUCCEEDED
    right = Status.CANCELED if act is is_canceled else uncanceled
    assert (ended.status, written) == (right, [CHUNK, 1, len(b"second")])
    assert [read(context, artifact.sha256) for artifact in ended.artifacts] == list(made)
    assert blobs.open_files == set()


def test_what_a_job_has_made_is_copied_no_further_where_somebody_else_may_have_it(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(context)
    written = acting_at_a_write(blobs, lambda: gives_it_back(context, job), monkeypatch)
    ended = ran(context, job, QuickRunner(made=(bytes(CHUNK + 1), b"second")))
    assert (ended.status, ended.attempt, written) == (Status.QUEUED, 0, [CHUNK])
    assert list(blobs.files.values()) == [b"a checkpoint"]
    assert blobs.open_files == set()


def test_a_job_that_waits_for_a_spare_can_be_canceled(context: WorkerContext) -> None:
    job = claimed(context)
    Timer(0.2, context.records.jobs.cancel, [job.id]).start()
    assert ran(context, job, BusyRunner(patience=30)).status is Status.CANCELED


def test_a_worker_that_stops_gives_back_a_job_that_waits_for_a_spare(context: WorkerContext) -> None:
    job, runner = claimed(context), BusyRunner(patience=30)
    Timer(0.2, context.stopping.set).start()
    back = ran(context, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 0)
