"""Whose fault it is: a worker's or the store's gives the job back, that of a job's own files counts against it."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread, Timer

import pytest

from tests.worker.job_run.running import (
    FORBIDDEN,
    MADE,
    NO_ROOM,
    BusyRunner,
    FailingBlobs,
    QuickRunner,
    claimed,
    claimed_again,
    ran,
    read,
)
from worker.blobs import Incoming
from worker.errors import Unavailable
from worker.job_run import finishing, journal_keeper, retrying, run
from worker.job_run.context import WorkerContext
from worker.records.values import Status
from worker.runner.messages import Exited


@pytest.mark.parametrize(
    "trouble", [NO_ROOM, OSError(errno.ENODEV, "the store is not mounted"), Unavailable("the store is not mounted")]
)
def test_a_worker_without_room_or_store_gives_its_job_back_untried_and_rests(
    context: WorkerContext, blobs: FailingBlobs, trouble: Exception
) -> None:
    job, runner = claimed(context), QuickRunner()
    blobs.trouble = [trouble] * 10_000
    back = ran(context, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)
    blobs.trouble = []
    assert ran(context, claimed_again(context, "short"), runner).status is Status.SUCCEEDED
    assert runner.asked == 2, "a worker that did its part does not rest"


def failing(error: Exception) -> Callable[..., Iterator[Path]]:
    def fail(*_: object) -> Iterator[Path]:
        raise error

    return fail


def test_a_worker_without_room_for_a_directory_fails_no_job(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, runner = claimed(context), QuickRunner()
    monkeypatch.setattr(run, "scratch_directory", failing(NO_ROOM))
    back = ran(context, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)


def test_a_worker_without_room_for_settings_fails_no_job(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, runner = claimed(context), QuickRunner()
    monkeypatch.setattr(runner, "run", failing(NO_ROOM))
    back = ran(context, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)


def test_a_worker_whose_spare_never_gets_warm_gives_its_job_back_untried_and_rests(context: WorkerContext) -> None:
    runner = BusyRunner(patience=0.1)
    back = ran(context, claimed(context), runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)


def test_a_job_whose_files_find_no_room_waits_again_and_goes_on_from_its_journal(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_PATIENCE_SECONDS", 0.0)
    job = claimed(context, "long")
    before = context.records.blobs.stored_bytes("")
    monkeypatch.setattr(blobs, "create", first_and_then(blobs.create, NO_ROOM))
    runner = QuickRunner(made=(b"first", b"second"))
    back = ran(context, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)
    assert context.records.blobs.stored_bytes("") == before
    assert sorted(blobs.files.values()) == [b"a checkpoint", b"two weeks of training"]
    ended = ran(context, claimed_again(context, "long"), runner)
    assert (ended.status, runner.journal) == (Status.SUCCEEDED, b"two weeks of training")
    assert [read(context, artifact.sha256) for artifact in ended.artifacts] == [b"first", b"second"]
    assert sorted(blobs.files.values()) == [b"a checkpoint", b"first", b"second"]


def first_and_then(create: Callable[[], Incoming], error: Exception) -> Callable[[], Incoming]:
    """The second call fails."""
    calls: list[None] = []

    def counted() -> Incoming:
        calls.append(None)
        if len(calls) == 2:
            raise error
        return create()

    return counted


@pytest.mark.parametrize("name", ["heartbeat", "journal"])
def test_a_worker_that_cannot_start_a_thread_gives_its_job_back_untried_and_rests(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    really, job, runner = Thread.start, claimed(context, "long"), QuickRunner()

    def start(thread: Thread) -> None:
        if thread.name.startswith(name):
            raise RuntimeError("can't start new thread")
        really(thread)

    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", start)
        back = ran(context, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)
    assert ran(context, claimed_again(context, "long"), QuickRunner()).status is Status.SUCCEEDED


def test_a_worker_that_cannot_look_at_what_it_has_fetched_gives_its_job_back_untried(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, runner = claimed(context, "long"), QuickRunner()
    monkeypatch.setattr(journal_keeper, "_stamps", failing(OSError(errno.EMFILE, os.strerror(errno.EMFILE))))
    back = ran(context, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)


def test_a_worker_that_stops_does_not_rest(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_REST_SECONDS", 1000.0)
    Timer(0.5, context.stopping.set).start()
    began = time.monotonic()
    assert ran(context, claimed(context), BusyRunner(patience=0.0)).status is Status.QUEUED
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("trouble", [OSError("the blob store says: 503"), OSError(errno.EIO, os.strerror(errno.EIO))])
def test_a_store_that_fails_as_a_whole_fails_no_job(
    context: WorkerContext, blobs: FailingBlobs, trouble: Exception
) -> None:
    job, runner = claimed(context), QuickRunner()
    for _ in range(3):
        blobs.ill, blobs.recovers_after = trouble, 3
        back = ran(context, job, runner)
        assert (back.status, back.attempt, blobs.ill) == (Status.QUEUED, 0, None), "it rests until the store works"
        job = claimed_again(context, "short")
    assert ran(context, job, runner).status is Status.SUCCEEDED


def test_a_store_that_takes_nothing_any_more_fails_no_job(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_PATIENCE_SECONDS", 0.05)
    job = claimed(context)
    back = ran(context, job, QuickRunner(lambda: setattr(blobs, "ill", FORBIDDEN)))
    assert (back.status, back.attempt, blobs.ill) == (Status.QUEUED, 0, None)
    assert ran(context, claimed_again(context, "short"), QuickRunner()).status is Status.SUCCEEDED


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO])
@pytest.mark.parametrize("name", ["collect", "collect_finished"])
def test_what_a_worker_cannot_read_for_a_moment_is_no_fault_of_the_job(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    then, trouble = getattr(finishing, name), [OSError(number, os.strerror(number))] * 3

    def later(*given: object) -> object:
        if trouble:
            raise trouble.pop()
        return then(*given)

    monkeypatch.setattr(finishing, name, later)
    job = claimed(context)
    runner = QuickRunner() if name == "collect" else QuickRunner(ended=[Exited(1)])
    ended = ran(context, job, runner)
    assert ended.status is (Status.SUCCEEDED if name == "collect" else Status.FAILED)
    assert [read(context, artifact.sha256) for artifact in ended.artifacts] == [MADE]


def test_a_worker_without_descriptors_gives_its_job_back_untried(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(finishing, "collect", failing(OSError(errno.EMFILE, os.strerror(errno.EMFILE))))
    back = ran(context, claimed(context), QuickRunner())
    assert (back.status, back.attempt) == (Status.QUEUED, 0)


def test_a_worker_that_stops_does_not_wait_for_its_store(context: WorkerContext, blobs: FailingBlobs) -> None:
    job = claimed(context)
    blobs.ill, blobs.recovers_after = OSError("the blob store does not answer"), 1_000_000
    Timer(0.5, context.stopping.set).start()
    began = time.monotonic()
    assert ran(context, job, QuickRunner()).status is Status.QUEUED
    assert time.monotonic() - began < 30


def test_a_file_that_no_worker_can_read_is_the_cause_once_two_have_tried(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_PATIENCE_SECONDS", 0.05)
    job, runner = claimed(context), QuickRunner()
    blobs.trouble = [FORBIDDEN] * 10_000
    back = ran(context, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 1, 2), "another worker is to find it first"
    ended = ran(context, claimed_again(context, "short"), runner)
    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.error.yours) == (Status.FAILED, "unavailable", False)
    assert FORBIDDEN.strerror in ended.error.detail
    assert runner.asked == 2, "a job that has ended is found by nobody"
    assert [entry.text for entry in context.records.jobs.log(job.id)][2::2] == [
        "its files could not be read or written; the job waits again",
        "failed: unavailable",
    ]


def test_a_file_that_another_worker_can_read_is_no_cause(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_PATIENCE_SECONDS", 0.05)
    job = claimed(context)
    blobs.trouble = [FORBIDDEN] * 10_000
    assert ran(context, job, QuickRunner()).attempt == 1
    blobs.trouble = []
    assert ran(context, claimed_again(context, "short"), QuickRunner()).status is Status.SUCCEEDED


def test_a_file_that_no_store_takes_is_the_cause_once_two_workers_have_tried(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for ever: each of them has computed it."""
    monkeypatch.setattr(retrying, "_PATIENCE_SECONDS", 0.05)
    too_large = OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    job = claimed(context)
    runner = QuickRunner(lambda: blobs.trouble.extend([too_large] * 10_000))
    back = ran(context, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 1, 2)
    blobs.trouble = []
    ended = ran(context, claimed_again(context, "short"), runner)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == (Status.FAILED, "unavailable")
