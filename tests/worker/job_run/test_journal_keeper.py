"""Laws of journals: the newest entry is kept and no other, by whoever holds the job, until it has ended."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from micronet.contract import (
    NO_AUGMENTATION,
    AugmentSettings,
    FineTuning,
    PipelineSettings,
    Pruning,
    Sparsifying,
)
from micronet.journal import Entry, MemoryJournal
from micronet.pruning.stage import prune
from tests.micronet.training.lessons import digits_graph, digits_task
from tests.worker.records.making import new_job, store
from worker.blobs.memory import MemoryBlobs
from worker.errors import Unavailable
from worker.job_run.fetching import fetch
from worker.job_run.journal_keeper import MAX_ENTRIES, JournalKeeper
from worker.records import Records
from worker.records.leases import MAX_ATTEMPTS
from worker.records.values import Ending, Job, JobError, JournalEntry, NewJob, Status, StoredBlob, Written
from worker.runner import outputs
from worker.runner.scratch import make

LIMIT = 1000


@pytest.fixture
def blobs() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "journal"
    made.mkdir()
    return made


def long_job(**changes: object) -> NewJob:
    return NewJob(
        **{
            "id": "1" * 32, "kind": "train", "lane": "long", "owner": "", "team": None, "name": None,
            "settings": "{}", "checkpoint": None, **changes,
        }
    )  # type: ignore[arg-type]  # fmt: skip


def claimed(records: Records) -> Job:
    records.jobs.submit(long_job(), None, 10)
    return claimed_again(records)


def claimed_again(records: Records) -> Job:
    job = records.leases.claim("w", ("long",))
    assert job is not None
    return job


def write(directory: Path, name: str, content: bytes) -> None:
    """As a job does it."""
    temporary = directory / f".{name}.new"
    temporary.write_bytes(content)
    temporary.replace(directory / name)


def lose(records: Records, job: Job) -> Status | None:
    """Its worker dies."""
    lease = next(lease for lease in records.leases.held() if lease.job_id == job.id)
    return records.leases.expire(replace(lease, claim=str(job.claim)))


def got_on(records: Records, job: Job) -> bool:
    """Whether something new was written down in this attempt, so that it is not counted against the job."""
    return records.jobs.read(job.id).attempts_before == job.attempt


def test_the_newest_of_each_entry_is_kept_and_the_former_deleted(
    records: Records, blobs: MemoryBlobs, directory: Path
) -> None:
    job = claimed(records)
    with JournalKeeper(records, blobs, job, directory, LIMIT) as keeper:
        for content in (b"first", b"second", b"third"):
            write(directory, "state", content)
            write(directory, "best", b"best")
            (directory / ".half.new").write_bytes(b"half")
            assert keeper.settle(10)
        assert got_on(records, job)
    assert [entry.name for entry in records.journal.entries(job.id)] == ["best", "state"]
    assert sorted(blobs.files.values()) == [b"best", b"third"]
    assert all(records.blobs.is_known(location) for location in blobs.files)
    assert blobs.files.keys() == records.blobs.locations()
    assert records.blobs.stored_bytes("") == 0


def test_the_next_worker_finds_what_the_last_one_stored(records: Records, blobs: MemoryBlobs, tmp_path: Path) -> None:
    job = claimed(records)
    make(tmp_path / "first")
    with JournalKeeper(records, blobs, job, tmp_path / "first" / "journal", LIMIT) as keeper:
        write(tmp_path / "first" / "journal", "state", b"epoch 3")
        assert keeper.settle(10)
    assert records.leases.give_back(job)
    again = claimed_again(records)
    make(tmp_path / "second")
    for _ in range(2):  # fetching may be tried again
        fetch(records, blobs, again, tmp_path / "second")
    assert (tmp_path / "second" / "journal" / "state").read_bytes() == b"epoch 3"
    before = dict(blobs.files)
    with JournalKeeper(records, blobs, again, tmp_path / "second" / "journal", LIMIT) as keeper:
        assert keeper.settle(10)
        assert not got_on(records, again)
        write(tmp_path / "second" / "journal", "state", b"epoch 3")  # the same again is no progress
        assert keeper.settle(10)
        assert not got_on(records, again)
    assert blobs.files == before


def test_a_damaged_journal_is_none(records: Records, blobs: MemoryBlobs, tmp_path: Path) -> None:
    job = claimed(records)
    make(tmp_path / "scratch")
    directory = tmp_path / "scratch" / "journal"
    with JournalKeeper(records, blobs, job, directory, LIMIT) as keeper:
        write(directory, "a", b"one")
        write(directory, "b", b"two")
        assert keeper.settle(10)
    location = next(location for location, content in blobs.files.items() if content == b"two")
    blobs.files[location] = b"too"
    fetch(records, blobs, job, tmp_path / "scratch")
    assert list(directory.iterdir()) == []


def test_what_was_written_though_nobody_heard_of_it_stays(
    records: Records, blobs: MemoryBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claimed(records)
    make(tmp_path / "scratch")
    directory = tmp_path / "scratch" / "journal"
    write_record, trouble = records.journal.write, [Unavailable("the database does not answer")] * 4

    def write_unheard(job: Job, entry: JournalEntry) -> Written:
        """Three times it does not come to writing; then nobody hears of it."""
        if len(trouble) > 1:
            raise trouble.pop()
        written = write_record(job, entry)
        if trouble:
            raise trouble.pop()
        return written

    monkeypatch.setattr(records.journal, "write", write_unheard)
    monkeypatch.setattr("worker.job_run.journal_keeper._LOOK_SECONDS", 0.01)
    with JournalKeeper(records, blobs, job, directory, LIMIT) as keeper:
        write(directory, "state", b"epoch 3")
        assert keeper.settle(10)
    assert got_on(records, job)
    assert trouble == []
    assert list(blobs.files.values()) == [b"epoch 3"]
    fetch(records, blobs, job, tmp_path / "scratch")
    assert (directory / "state").read_bytes() == b"epoch 3"


def test_an_entry_takes_the_place_of_a_file_that_the_store_has_lost(
    records: Records, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    job = claimed(records)
    make(tmp_path / "scratch")
    directory = tmp_path / "scratch" / "journal"
    for _ in range(2):
        with JournalKeeper(records, blobs, job, directory, LIMIT) as keeper:
            blobs.files.clear()
            write(directory, "state", b"epoch 3")
            assert keeper.settle(10)
    fetch(records, blobs, job, tmp_path / "scratch")
    assert (directory / "state").read_bytes() == b"epoch 3"


def test_who_lost_the_job_finds_no_file_a_new_place(records: Records) -> None:
    job = claimed(records)
    entry = JournalEntry("state", StoredBlob("a" * 64, 1, "ab/first"))
    assert records.journal.write(job, entry).location == entry.blob.location
    assert not records.journal.replace(job, "state", "a" * 64, "ab/another", "ab/second")
    assert lose(records, job) is Status.QUEUED
    assert not records.journal.replace(job, "state", "a" * 64, "ab/first", "ab/second")
    assert records.journal.entries(job.id) == (entry,)


def test_who_lost_the_job_writes_nothing(records: Records, blobs: MemoryBlobs, directory: Path) -> None:
    job = claimed(records)
    with JournalKeeper(records, blobs, job, directory, LIMIT) as keeper:
        assert lose(records, job) is Status.QUEUED
        write(directory, "state", b"too late")
        assert keeper.settle(10)
    assert not got_on(records, job)
    assert records.journal.entries(job.id) == ()
    assert blobs.files == {}


def test_something_new_renews_the_attempts_and_nothing_new_does_not(
    records: Records, blobs: MemoryBlobs, directory: Path
) -> None:
    job = claimed(records)
    for epoch in range(3 * MAX_ATTEMPTS):
        with JournalKeeper(records, blobs, job, directory, LIMIT) as keeper:
            write(directory, "state", b"epoch %d" % epoch)
            assert keeper.settle(10)
        assert lose(records, job) is Status.QUEUED
        job = claimed_again(records)
    for _ in range(MAX_ATTEMPTS - 1):
        assert lose(records, job) is Status.QUEUED
        job = claimed_again(records)
    assert lose(records, job) is Status.FAILED


@pytest.mark.parametrize("ending", [Ending(Status.SUCCEEDED, "{}"), Ending(Status.FAILED, error=JobError(
    code="x", title="x", detail="x")), Ending(Status.CANCELED)])  # fmt: skip
def test_the_journal_goes_when_the_job_has_ended(
    records: Records, blobs: MemoryBlobs, directory: Path, ending: Ending
) -> None:
    job = claimed(records)
    with JournalKeeper(records, blobs, job, directory, LIMIT) as keeper:
        write(directory, "state", b"state")
        assert keeper.settle(10)
    assert records.journal.forget(job.id) == records.journal.forget_ended() == ()
    assert records.leases.finish(job, ending)
    assert set(records.journal.forget_ended()) == blobs.files.keys()
    assert records.journal.entries(job.id) == ()


def most(settings: type[BaseModel], name: str) -> int:
    """The largest value, or the greatest length, that the contract accepts."""
    bounds = [getattr(one, "le", getattr(one, "max_length", None)) for one in settings.model_fields[name].metadata]
    (bound,) = [bound for bound in bounds if bound is not None]
    return int(bound)


def written_by(rounds: int) -> int:
    """How many entries a prune stage of so many rounds leaves behind."""
    journal = MemoryJournal()
    tuning = FineTuning(steps=1, augmentation=NO_AUGMENTATION)
    how = Pruning(ratio=0.4, rounds=rounds, factor_images=16, fine_tuning=tuning)
    _, report = prune(digits_graph(), how, digits_task(100, journal))
    assert len(report.rounds) == rounds
    return len(journal.entries)


def test_there_is_room_for_what_the_contract_accepts() -> None:
    """A stage that writes most, at the end of a pipeline of as many stages as may be; and a search of policies."""
    first, second = written_by(1), written_by(2)
    stage = first + (second - first) * (most(Pruning, "rounds") - 1)
    assert stage > most(Pruning, "rounds")
    assert stage + most(PipelineSettings, "stages") + 1 <= MAX_ENTRIES
    assert most(AugmentSettings, "folds") * (most(AugmentSettings, "searches") + 1) <= MAX_ENTRIES
    assert most(Sparsifying, "rounds") + 1 <= MAX_ENTRIES
    assert 2 * MAX_ENTRIES <= outputs.MAX_ENTRIES, "else their bytes are not counted"


def at_once(directory: Path, names: list[str]) -> None:
    """Put empty files there, all before anybody looks."""
    elsewhere = directory.with_name("elsewhere")
    elsewhere.mkdir()
    for name in names:
        (elsewhere / name).touch()
    elsewhere.rename(directory)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "a link": lambda path: (path / "link").symlink_to("/etc/passwd"),
    "a second name": lambda path: [(path / "a").write_bytes(b""), os.link(path / "a", path / "b")],
    "a pipe": lambda path: os.mkfifo(path / "pipe"),
    "a directory": lambda path: (path / "directory").mkdir(),
    "a bad name": lambda path: (path / "UPPER").write_bytes(b""),
    "too many": lambda path: at_once(path, [str(number) for number in range(MAX_ENTRIES + 1)]),
    "too many hidden": lambda path: at_once(path, [f".{number}" for number in range(2 * MAX_ENTRIES + 1)]),
    "too much": lambda path: os.truncate(os.open(path / "large", os.O_CREAT | os.O_WRONLY), LIMIT + 1),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_no_job_writes_down_is_refused(records: Records, blobs: MemoryBlobs, directory: Path, what: str) -> None:
    with JournalKeeper(records, blobs, claimed(records), directory, LIMIT) as keeper:
        HOSTILE[what](directory)
        assert keeper.settle(10)
        assert keeper.refused is not None
    assert blobs.files == {}


def test_a_worker_that_cannot_open_a_file_for_a_moment_refuses_none(
    records: Records, blobs: MemoryBlobs, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(directory, "epoch", b"before")
    really, trouble = os.open, [OSError(errno.EMFILE, os.strerror(errno.EMFILE))]

    def fail_once(path: Path | str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "epoch" and trouble:
            raise trouble.pop()
        return really(path, flags, mode, dir_fd=dir_fd)

    with JournalKeeper(records, blobs, claimed(records), directory, LIMIT) as keeper:
        monkeypatch.setattr(os, "open", fail_once)
        write(directory, "epoch", b"after")
        assert keeper.settle(10)
        assert (keeper.refused, trouble) == (None, [])
    assert list(blobs.files.values()) == [b"after"]


@pytest.mark.parametrize(
    "name", ["a", "0", "a.b_c-d", "a" * 128, "a" * 129, "-a", "_", "UPPER", "a b", "\u00e9", "a\n"]
)
def test_names_of_entries_are_those_that_a_job_may_write(
    records: Records, blobs: MemoryBlobs, directory: Path, name: str
) -> None:
    """The rule stands twice: a worker does not load what computes."""
    try:
        MemoryJournal().write(name, Entry())
    except AssertionError:
        taken = False
    else:
        taken = True
    with JournalKeeper(records, blobs, claimed(records), directory, LIMIT) as keeper:
        write(directory, name, b"")
        assert keeper.settle(10)
        assert (keeper.refused is None) is taken


def test_files_that_settings_name_are_fetched_and_kept_from_sweeps(
    records: Records, blobs: MemoryBlobs, tmp_path: Path
) -> None:
    with blobs.create() as incoming:
        incoming.write(b"a teacher")
        blob = records.blobs.add(incoming.keep(), "")
    unneeded = store(records, content="nobody's")
    records.jobs.submit(long_job(files=(blob.sha256,)), None, 10)
    assert [swept.sha256 for swept in records.blobs.forget_unneeded(30, 0)] == [unneeded.sha256]
    assert records.jobs.names(blob.sha256, "")
    make(tmp_path / "scratch")
    job = claimed_again(records)
    fetch(records, blobs, job, tmp_path / "scratch")
    assert (tmp_path / "scratch" / "in" / blob.sha256).read_bytes() == b"a teacher"
    assert not (tmp_path / "scratch" / "in" / "checkpoint").exists()
    records.leases.finish(job, Ending(Status.CANCELED))
    assert [swept.sha256 for swept in records.blobs.forget_unneeded(30, 0)] == [blob.sha256]


def test_sweeps_go_on_beside_jobs_without_a_file(records: Records) -> None:
    """NOT IN with a null among the values is never true."""
    records.jobs.submit(long_job(), None, 10)
    kept, swept = store(records), store(records, content="nobody's")
    records.jobs.submit(new_job(kept), None, 10)
    assert [blob.sha256 for blob in records.blobs.forget_unneeded(30, 0)] == [swept.sha256]
