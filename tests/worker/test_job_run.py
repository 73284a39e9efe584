"""Laws of one job's run: what stays away for a while is waited for, and every end has its own cause."""

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer
from typing import BinaryIO, cast

import pytest

from tests.worker.records.making import new_job
from worker import job_run
from worker.blobs import Incoming
from worker.blobs.memory import MemoryBlobs
from worker.errors import Unavailable
from worker.job_run import Bench, run_job
from worker.limits import JobLimits
from worker.records import Records
from worker.records.values import Job, LogEntry, Status
from worker.runner import Done, Exited, JobRequest, Message, Progressed, Runner, StageBegan

MADE = b"what the job made"


class FailingBlobs(MemoryBlobs):
    """A store that fails as it is told to: `trouble` is raised by the next calls, one each."""

    def __init__(self) -> None:
        super().__init__()
        self.trouble: list[OSError] = []

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
    """Does every job at once, says what it is told to, and leaves a file. `meanwhile` is done while the job runs."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None, said: Sequence[Message] = ()) -> None:
        self._meanwhile, self.said, self.checkpoint = meanwhile, said, b""

    def run(self, _: JobRequest, scratch: Path, __: JobLimits) -> "QuickRunner":
        self.checkpoint = (scratch / "in" / "checkpoint").read_bytes()
        (scratch / "out" / "made.onnx").write_bytes(MADE)
        self._meanwhile()
        return self

    def messages(self, _: float) -> list[Message]:
        return [*self.said, Done(), Exited(0)]

    def kill(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_run, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(job_run, "collect", lambda scratch, _: ("{}", [scratch / "out" / "made.onnx"]))


@pytest.fixture
def blobs() -> FailingBlobs:
    return FailingBlobs()


@pytest.fixture
def bench(records: Records, blobs: FailingBlobs, tmp_path: Path) -> Bench:
    return Bench(records, blobs, tmp_path / "scratch", {"short": JobLimits()}, 0.02, Event())


def claimed(bench: Bench) -> Job:
    with bench.blobs.create() as incoming:
        incoming.write(b"a checkpoint")
        blob = incoming.keep()
        bench.records.blobs.add(blob, "")
    bench.records.jobs.submit(new_job(blob, kind="fuse"), None, 10)
    job = bench.records.leases.claim("w", ("short",))
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


def test_a_database_that_is_away_for_a_while_fails_no_job_and_makes_no_copies(
    bench: Bench, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(bench)
    add, trouble = bench.records.blobs.add, [Unavailable("the database does not answer")] * 3

    def add_later(*arguments: object) -> object:
        if trouble:
            raise trouble.pop()
        return add(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.records.blobs, "add", add_later)
    monkeypatch.setattr("worker.job_run._RETRY_SECONDS", 0.01)
    assert ran(bench, job, QuickRunner()).status is Status.SUCCEEDED
    assert trouble == []
    assert list(blobs.files.values()).count(MADE) == 1


def test_a_worker_that_stops_while_the_database_is_away_gives_its_job_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(bench)

    def add_never(*_: object) -> object:
        bench.stopping.set()
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(bench.records.blobs, "add", add_never)
    assert ran(bench, job, QuickRunner()).status is Status.QUEUED


def test_an_artifact_whose_record_was_written_though_nobody_heard_of_it_stays(
    bench: Bench, blobs: FailingBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(bench)
    add, trouble = bench.records.blobs.add, [Unavailable("the database does not answer")]

    def add_unheard(*arguments: object) -> object:
        added = add(*arguments)  # type: ignore[arg-type]
        if trouble:
            raise trouble.pop()
        return added

    monkeypatch.setattr(bench.records.blobs, "add", add_unheard)
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


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "storage-full"),
        (OSError(errno.EACCES, os.strerror(errno.EACCES)), "unavailable"),
    ],
)
def test_a_store_that_stays_away_is_the_cause(
    bench: Bench, blobs: FailingBlobs, trouble: OSError, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_run, "_STORE_PATIENCE", 0.05)
    job = claimed(bench)
    blobs.trouble = [trouble] * 10_000
    ended = ran(bench, job, QuickRunner())
    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.error.yours) == (Status.FAILED, code, False)
    assert str(trouble.strerror) in ended.error.detail


def test_a_damaged_file_can_be_sent_again(bench: Bench) -> None:
    job = claimed(bench)
    (location,) = cast(FailingBlobs, bench.blobs).files
    cast(FailingBlobs, bench.blobs).files[location] = b"something else"
    ended = ran(bench, job, QuickRunner())
    assert ended.error is not None
    assert ended.error.code == "blob-corrupt"
    again = ran(bench, claimed(bench), QuickRunner())
    assert again.status is Status.SUCCEEDED


def test_what_jobs_make_counts_against_the_quota_of_their_owner(bench: Bench) -> None:
    job = claimed(bench)
    small = Bench(bench.records, bench.blobs, bench.scratch, bench.limits, 0.02, bench.stopping, quota=len(MADE))
    ended = ran(small, job, QuickRunner())
    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.error.yours) == (Status.FAILED, "storage-quota", True)
    assert MADE not in cast(FailingBlobs, bench.blobs).files.values()


def test_an_end_that_cannot_be_written_is_a_failed_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job = claimed(bench)
    finish = bench.records.leases.finish

    def refuse(job: Job, ending: job_run.Ending, begun: Sequence[LogEntry]) -> bool:
        if ending.status is Status.SUCCEEDED:
            raise ValueError("no column takes this")
        return finish(job, ending, begun)

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
