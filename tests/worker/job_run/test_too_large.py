"""A job that finds no room on a worker's disk lets others go first, and does not wait for ever."""

from pathlib import Path
from tempfile import TemporaryFile

import pytest

from tests.worker.job_run.running import NO_ROOM, FailingBlobs, QuickRunner, claimed, claimed_again, ran
from tests.worker.records.making import accept
from worker.errors import Unavailable
from worker.job_run import blame, retrying, run
from worker.job_run.context import WorkerContext
from worker.job_run.too_large import _FORGOTTEN_AFTER_SECONDS, _PAUSE_SECONDS, TooLarge
from worker.records.values import Status


def test_it_is_left_to_others_for_a_while_each_time() -> None:
    now = [0.0]
    too_large = TooLarge(lambda: now[0])
    assert (too_large.add("a"), too_large.add("b"), too_large.add("a")) == (1, 1, 2)
    now[0] = _PAUSE_SECONDS / 2
    assert too_large.add("b") == 2
    assert set(too_large.resting()) == {"a", "b"}
    now[0] = _PAUSE_SECONDS
    assert too_large.resting() == ("b",)
    assert too_large.add("a") == 3
    now[0] = 3 * _PAUSE_SECONDS + _FORGOTTEN_AFTER_SECONDS
    assert too_large.resting() == ()
    assert too_large.add("a") == 1, "it went elsewhere, or ended"


def test_a_job_that_finds_no_room_again_and_again_ends_and_says_what_would_be_right(
    context: WorkerContext, blobs: FailingBlobs
) -> None:
    job, runner = claimed(context), QuickRunner()
    blobs.trouble = [NO_ROOM] * blame._TIMES_WITHOUT_ROOM
    for times in range(1, blame._TIMES_WITHOUT_ROOM):
        back = ran(context, job, runner)
        assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, times + 1), "it rests"
        assert context.too_large.resting() == (job.id,)
        said = context.records.jobs.log(job.id)[-1].text
        assert said == "there is no room for its files on the disk of its worker; the job waits again"
        job = claimed_again(context, "short")
    ended = ran(context, job, runner)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == (Status.FAILED, "disk-full")
    assert (ended.error.retryable, ended.error.yours) == (True, False)
    assert f"have {len(b'a checkpoint')} bytes" in ended.error.detail
    assert "a larger disk" in ended.error.detail


def test_its_size_is_that_of_all_its_files(context: WorkerContext, blobs: FailingBlobs) -> None:
    """A long job has its journal, too."""
    runner = QuickRunner(context.stopping.set, ended=())
    job = claimed(context, "long")
    assert ran(context, job, runner).status is Status.QUEUED
    context.stopping.clear()
    blobs.trouble = [NO_ROOM] * blame._TIMES_WITHOUT_ROOM
    for _ in range(blame._TIMES_WITHOUT_ROOM):
        ended = ran(context, claimed_again(context, "long"), runner)
    assert ended.error is not None
    assert f"have {len(b'a checkpoint') + len(b'two weeks of training')} bytes" in ended.error.detail


def test_one_whose_size_cannot_be_asked_goes_back(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(context)
    blobs.trouble = [NO_ROOM]

    def away(*_: object) -> int:
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(blame, "size_of", away)
    assert ran(context, job, QuickRunner()).status is Status.QUEUED


@pytest.mark.parametrize("lane", ["short", "long"])
def test_one_that_finds_no_room_in_the_store_lets_others_go_first_and_never_ends_for_it(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch, lane: str
) -> None:
    """What it made may have taken days."""
    monkeypatch.setattr(retrying, "_PATIENCE_SECONDS", 0.0)

    def fill() -> None:
        blobs.trouble = [NO_ROOM]

    job = claimed(context, lane)
    for _ in range(blame._TIMES_WITHOUT_ROOM + 1):
        back = ran(context, job, QuickRunner(fill))
        assert (back.status, back.attempt) == (Status.QUEUED, 0)
        assert context.too_large.resting() == (job.id,)
        said = context.records.jobs.log(job.id)[-1].text
        assert said == "there is no room in the store for what it made; the job waits again"
        job = claimed_again(context, lane)
    assert ran(context, job, QuickRunner()).status is Status.SUCCEEDED


def test_others_of_its_team_go_first(context: WorkerContext) -> None:
    first, second = accept(context.records, kind="fuse"), accept(context.records, kind="count")
    leases = context.records.leases
    assert leases.waiting(("short",), without=(first.id,)) == 1
    for kinds in (None, ("count", "fuse")):
        job = leases.claim("w", ("short",), kinds=kinds, without=(first.id, "0" * 32))
        assert job is not None
        assert job.id == second.id
        leases.give_back(job)
    assert leases.claim("w", ("short",), kinds=("fuse",), without=(first.id,)) is None
    assert leases.waiting(("short",), ("fuse",), (first.id,)) == 0
    job = leases.claim("w", ("short",))
    assert job is not None
    assert job.id == first.id


def test_a_worker_whose_disk_takes_nothing_rests_until_it_does(
    context: WorkerContext, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every job that waits would find no room in turn."""
    job, tried = claimed(context), list[Path]()
    blobs.trouble = [NO_ROOM]

    def full(*, dir: Path, buffering: int) -> object:
        tried.append(dir)
        if len(tried) < 3:
            raise NO_ROOM
        return TemporaryFile(dir=dir, buffering=buffering)

    monkeypatch.setattr(run, "TemporaryFile", full)
    assert ran(context, job, QuickRunner()).status is Status.QUEUED
    assert tried == [context.scratch] * 3
