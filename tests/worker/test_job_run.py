"""Laws of one job's run: what stays away for a while is waited for, and every end has its own cause."""

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer
from typing import BinaryIO, cast

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from tests.worker.records.making import new_job
from worker import job_run
from worker.blobs import Incoming
from worker.blobs.memory import MemoryBlobs
from worker.errors import RunnerUnavailable, StorageFull, StorageQuota, Unavailable
from worker.job_run import Bench, run_job
from worker.limits import JobLimits
from worker.records import Records
from worker.records.values import Job, Status
from worker.runner import Done, Exited, JobRequest, Message, Progressed, Runner, StageBegan

MADE = b"what the job made"


class FailingBlobs(MemoryBlobs):
    """A store that fails as it is told to: `trouble` is raised by the next calls, one each."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: list[Exception] = []

    def open(self, location: str) -> BinaryIO:
        self._fail()
        return super().open(location)

    def create(self) -> Incoming:
        self._fail()
        return super().create()

    def _fail(self) -> None:
        if self.trouble:
            raise self.trouble.pop(0)


class QuickRunner:
    """Does every job at once, says what it is told to, and leaves files. `meanwhile` is done while the job runs.

    `asked`: how often somebody wanted to know whether it is ready, which it is the second time.
    """

    def __init__(
        self,
        meanwhile: Callable[[], object] = lambda: None,
        said: Sequence[Message] = (),
        made: Sequence[bytes] = (MADE,),
    ) -> None:
        self._meanwhile, self.said, self._made = meanwhile, said, made
        self.checkpoint, self.journal = b"", b""
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
        return [*self.said, Done(), Exited(0)]

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


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_run, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(job_run, "_HICCUP_SECONDS", 0.05)
    monkeypatch.setattr(job_run, "_REST_SECONDS", 0.01)
    monkeypatch.setattr(job_run, "collect", lambda scratch, _: ("{}", sorted((scratch / "out").iterdir())))


@pytest.fixture
def blobs() -> FailingBlobs:
    return FailingBlobs()


@pytest.fixture
def bench(records: Records, blobs: FailingBlobs, tmp_path: Path) -> Bench:
    limits = {"short": JobLimits(), "long": JobLimits()}
    return Bench(records, blobs, tmp_path / "scratch", limits, 0.02, 30.0, Event())


def claimed(bench: Bench, lane: str = "short") -> Job:
    with bench.blobs.create() as incoming:
        incoming.write(b"a checkpoint")
        blob = incoming.keep()
        bench.records.blobs.add(blob, "")
    bench.records.jobs.submit(new_job(blob, kind="fuse", lane=lane), None, 10)
    return claimed_again(bench, lane)


def claimed_again(bench: Bench, lane: str) -> Job:
    job = bench.records.leases.claim("w", (lane,))
    assert job is not None
    return job


def read(bench: Bench, sha256: str) -> bytes:
    """A recorded file."""
    blob = bench.records.blobs.find(sha256, "")
    assert blob is not None
    with bench.blobs.open(blob.location) as source:
        return source.read()


def ran(bench: Bench, job: Job, runner: QuickRunner) -> Job:
    run_job(bench, job, cast(Runner, runner), "cpu")
    return bench.records.jobs.read(job.id)


def test_a_store_that_is_away_for_a_while_fails_no_job(bench: Bench, blobs: FailingBlobs) -> None:
    job = claimed(bench)
    blobs.trouble = [OSError("the blob store does not answer"), OSError(errno.EIO, os.strerror(errno.EIO))]
    runner = QuickRunner(lambda: blobs.trouble.append(OSError("the blob store does not take the file")))
    ended = ran(bench, job, runner)
    assert (ended.status, ended.attempt, runner.checkpoint) == (Status.SUCCEEDED, 1, b"a checkpoint")
    assert [artifact.size for artifact in ended.artifacts] == [len(MADE)]
    assert blobs.trouble == []


@pytest.mark.parametrize("error", [Unavailable("the database does not answer"), StorageFull("its disk is full")])
def test_a_database_that_is_away_or_full_for_a_while_fails_no_job_and_makes_no_copies(
    bench: Bench, blobs: FailingBlobs, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(bench)
    finish, trouble = bench.records.leases.finish, [error] * 3

    def finish_later(*arguments: object) -> object:
        if trouble:
            raise trouble.pop()
        return finish(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.records.leases, "finish", finish_later)
    assert ran(bench, job, QuickRunner()).status is Status.SUCCEEDED
    assert trouble == []
    assert list(blobs.files.values()).count(MADE) == 1


def test_a_worker_that_stops_while_the_database_is_away_gives_its_job_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(bench)

    def finish_never(*_: object) -> object:
        bench.stopping.set()
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(bench.records.leases, "finish", finish_never)
    assert ran(bench, job, QuickRunner()).status is Status.QUEUED


def test_an_end_that_was_written_though_nobody_heard_of_it_keeps_its_files(
    bench: Bench, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(bench)
    database, trouble = bench.records.database, [OperationalError("COMMIT", {}, Exception("the connection broke"))]
    once = database._once

    def once_unheard(work: Callable[[Connection], object], write: bool) -> object:
        done = once(work, write)
        if write and trouble and bench.records.jobs.read(job.id).status.final:
            raise trouble.pop()
        return done

    monkeypatch.setattr(database, "_once", once_unheard)
    monkeypatch.setattr(database, "patience", -1.0)
    ended = ran(bench, job, QuickRunner())
    assert (ended.status, trouble) == (Status.SUCCEEDED, [])
    assert read(bench, ended.artifacts[0].sha256) == MADE
    assert list(blobs.files.values()).count(MADE) == 1
    assert blobs.open_files == set()


def test_an_artifact_takes_the_place_of_a_file_that_the_store_has_lost(bench: Bench, blobs: FailingBlobs) -> None:
    (artifact,) = ran(bench, claimed(bench), QuickRunner()).artifacts
    blobs.files = {location: content for location, content in blobs.files.items() if content != MADE}
    assert ran(bench, claimed(bench), QuickRunner()).artifacts == (artifact,)
    assert read(bench, artifact.sha256) == MADE


def test_a_job_that_waits_for_its_file_can_be_canceled(bench: Bench, blobs: FailingBlobs) -> None:
    job = claimed(bench)
    blobs.trouble = [OSError("the blob store does not answer")] * 10_000
    Timer(0.2, bench.records.jobs.cancel, [job.id]).start()
    assert ran(bench, job, QuickRunner()).status is Status.CANCELED


def test_a_worker_that_stops_gives_back_a_job_that_waits_for_its_file(bench: Bench, blobs: FailingBlobs) -> None:
    job = claimed(bench)
    blobs.trouble = [OSError("the blob store does not answer")] * 10_000
    Timer(0.2, bench.stopping.set).start()
    back = ran(bench, job, QuickRunner())
    assert (back.status, back.attempt) == (Status.QUEUED, 0)


def test_a_store_that_stays_away_is_the_cause(
    bench: Bench, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_run, "_STORE_PATIENCE", 0.05)
    job = claimed(bench)
    blobs.trouble = [OSError(errno.EACCES, os.strerror(errno.EACCES))] * 10_000
    ended = ran(bench, job, QuickRunner())
    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.error.yours) == (Status.FAILED, "unavailable", False)
    assert os.strerror(errno.EACCES) in ended.error.detail


NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def failing(error: Exception) -> Callable[..., Iterator[Path]]:
    def fail(*_: object) -> Iterator[Path]:
        raise error

    return fail


@pytest.mark.parametrize(
    "trouble", [NO_ROOM, OSError(errno.ENODEV, "the store is not mounted"), Unavailable("the store is not mounted")]
)
def test_a_worker_without_room_or_store_gives_its_job_back_untried_and_rests(
    bench: Bench, blobs: FailingBlobs, trouble: Exception
) -> None:
    job, runner = claimed(bench), QuickRunner()
    blobs.trouble = [trouble] * 10_000
    back = ran(bench, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)
    blobs.trouble = []
    assert ran(bench, claimed_again(bench, "short"), runner).status is Status.SUCCEEDED
    assert runner.asked == 2, "a worker that did its part does not rest"


def test_a_worker_without_room_for_a_directory_fails_no_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job, runner = claimed(bench), QuickRunner()
    monkeypatch.setattr(job_run, "scratch_directory", failing(NO_ROOM))
    back = ran(bench, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)


def test_a_worker_without_room_for_settings_fails_no_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job, runner = claimed(bench), QuickRunner()
    monkeypatch.setattr(runner, "run", failing(NO_ROOM))
    back = ran(bench, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)


def test_a_store_that_is_not_mounted_for_a_moment_keeps_no_job_waiting(bench: Bench, blobs: FailingBlobs) -> None:
    job, runner = claimed(bench), QuickRunner()
    blobs.trouble = [Unavailable("the store is not mounted")]
    assert ran(bench, job, runner).status is Status.SUCCEEDED
    assert runner.asked == 0


def test_a_worker_that_stops_does_not_rest(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_run, "_REST_SECONDS", 1000.0)
    Timer(0.5, bench.stopping.set).start()
    began = time.monotonic()
    assert ran(bench, claimed(bench), BusyRunner(patience=0.0)).status is Status.QUEUED
    assert time.monotonic() - began < 30


def test_a_worker_whose_spare_never_gets_warm_gives_its_job_back_untried_and_rests(bench: Bench) -> None:
    runner = BusyRunner(patience=0.1)
    back = ran(bench, claimed(bench), runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)


def test_a_job_that_waits_for_a_spare_can_be_canceled(bench: Bench) -> None:
    job = claimed(bench)
    Timer(0.2, bench.records.jobs.cancel, [job.id]).start()
    assert ran(bench, job, BusyRunner(patience=30)).status is Status.CANCELED


def test_a_worker_that_stops_gives_back_a_job_that_waits_for_a_spare(bench: Bench) -> None:
    job, runner = claimed(bench), BusyRunner(patience=30)
    Timer(0.2, bench.stopping.set).start()
    back = ran(bench, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 0)


def test_a_job_that_ended_was_as_far_as_it_said_last(bench: Bench) -> None:
    """Between two beats: else one that has succeeded stands at 9,339 of 10,000 images for ever."""
    said = [StageBegan("evaluate", 2, 3), Progressed(9_339, 10_000, "images"), Progressed(10_000, 10_000, "images")]
    ended = ran(replace(bench, beat_seconds=60), claimed(bench), QuickRunner(said=said))
    assert ended.status is Status.SUCCEEDED
    assert ended.stage is not None
    assert (ended.stage.name, ended.stage.done, ended.stage.total) == ("evaluate", 10_000, 10_000)


def test_a_damaged_file_can_be_sent_again(bench: Bench) -> None:
    job = claimed(bench)
    (location,) = cast(FailingBlobs, bench.blobs).files
    cast(FailingBlobs, bench.blobs).files[location] = b"something else"
    ended = ran(bench, job, QuickRunner())
    assert ended.error is not None
    assert ended.error.code == "blob-corrupt"
    again = ran(bench, claimed(bench), QuickRunner())
    assert again.status is Status.SUCCEEDED


def test_what_a_job_made_that_has_run_is_kept_and_new_files_are_refused(bench: Bench) -> None:
    job = claimed(bench)
    before = bench.records.blobs.stored_bytes("")
    ended = ran(bench, job, QuickRunner())
    assert (ended.status, len(ended.artifacts)) == (Status.SUCCEEDED, 1)
    assert bench.records.blobs.stored_bytes("") == before + len(MADE)
    with pytest.raises(StorageQuota):
        bench.records.blobs.check_quota("", 1, before + 1)


def test_a_job_whose_files_find_no_room_waits_again_and_goes_on_from_its_journal(
    bench: Bench, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_run, "_STORE_PATIENCE", 0.0)
    job = claimed(bench, "long")
    before = bench.records.blobs.stored_bytes("")
    monkeypatch.setattr(blobs, "create", first_and_then(blobs.create, NO_ROOM))
    runner = QuickRunner(made=(b"first", b"second"))
    back = ran(bench, job, runner)
    assert (back.status, back.attempt, runner.asked) == (Status.QUEUED, 0, 2)
    assert bench.records.blobs.stored_bytes("") == before
    assert sorted(blobs.files.values()) == [b"a checkpoint", b"two weeks of training"]
    ended = ran(bench, claimed_again(bench, "long"), runner)
    assert (ended.status, runner.journal) == (Status.SUCCEEDED, b"two weeks of training")
    assert [read(bench, artifact.sha256) for artifact in ended.artifacts] == [b"first", b"second"]
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


def test_files_that_find_no_room_for_a_while_are_waited_for(bench: Bench, blobs: FailingBlobs) -> None:
    runner = QuickRunner(lambda: blobs.trouble.extend([NO_ROOM] * 3), made=(b"first", b"second"))
    ended = ran(bench, claimed(bench), runner)
    assert (ended.status, ended.attempt, runner.asked) == (Status.SUCCEEDED, 1, 0)
    assert sorted(blobs.files.values()) == [b"a checkpoint", b"first", b"second"]


@pytest.mark.parametrize(("meanwhile", "status"), [("cancel", Status.CANCELED), ("expire", Status.QUEUED)])
def test_nothing_is_charged_that_no_job_lists(
    bench: Bench, blobs: FailingBlobs, meanwhile: str, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job is canceled, or taken from its worker, between its last word and its end."""
    job = claimed(bench)
    before = bench.records.blobs.stored_bytes("")
    collect, (lease,) = job_run.collect, bench.records.leases.held()
    acts = {"cancel": lambda: bench.records.jobs.cancel(job.id), "expire": lambda: bench.records.leases.expire(lease)}

    def collect_late(scratch: Path, kind: str) -> object:
        acts[meanwhile]()
        return collect(scratch, kind)

    monkeypatch.setattr(job_run, "collect", collect_late)
    ended = ran(replace(bench, beat_seconds=1000.0), job, QuickRunner(made=(b"first", b"second")))
    assert (ended.status, ended.artifacts) == (status, ())
    assert bench.records.blobs.stored_bytes("") == before
    assert list(blobs.files.values()) == [b"a checkpoint"]


def test_two_files_of_one_content_are_one(bench: Bench, blobs: FailingBlobs) -> None:
    ended = ran(bench, claimed(bench), QuickRunner(made=(MADE, MADE)))
    assert [artifact.name for artifact in ended.artifacts] == ["0-made.onnx", "1-made.onnx"]
    assert list(blobs.files.values()).count(MADE) == 1


def test_an_end_that_cannot_be_written_is_a_failed_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job = claimed(bench)
    finish = bench.records.leases.finish

    def refuse(job: Job, ending: job_run.Ending, *rest: object) -> object:
        if ending.status is Status.SUCCEEDED:
            raise ValueError("no column takes this")
        return finish(job, ending, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.records.leases, "finish", refuse)
    ended = ran(bench, job, QuickRunner())
    assert ended.error is not None
    assert (ended.status, ended.error.code) == (Status.FAILED, "internal-error")


@pytest.mark.parametrize("beat_seconds", [0.02, 1000.0])
def test_stages_of_any_length_are_told(bench: Bench, beat_seconds: float) -> None:
    """Those between two beats, those a beat tells of while the end is written, and no stage twice."""
    job = claimed(bench)
    began = [StageBegan(name, index, 3) for index, name in enumerate(("read", "fuse", "write"), 1)]
    said = [*began, Progressed(1, 10, "images"), Progressed(3, 10, "images")]
    run_job(replace(bench, beat_seconds=beat_seconds), job, cast(Runner, QuickRunner(said=said)), "cpu")
    entries = bench.records.jobs.log(job.id)
    assert [entry.text for entry in entries[2:]] == ["read (1 of 3)", "fuse (2 of 3)", "write (3 of 3)", "succeeded"]
    assert [entry.at for entry in entries[1:]] == sorted(entry.at for entry in entries[1:])
