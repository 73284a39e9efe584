"""The end of a job and what it made are written together, or neither is."""

import pytest
from sqlalchemy.exc import IntegrityError

from tests.worker.records.making import accept, store
from worker.records import Records
from worker.records.leases import MAX_ATTEMPTS
from worker.records.values import (
    Artifact,
    Ending,
    Event,
    Finished,
    Job,
    JobError,
    JournalEntry,
    Stage,
    Status,
    StoredBlob,
)

FIRST, SECOND = StoredBlob("1" * 64, 100, "ab/first"), StoredBlob("2" * 64, 10, "ab/second")
ENDING = Ending(Status.SUCCEEDED, result="{}", artifacts=(Artifact(name="x.onnx", sha256="1" * 64, size=100),))


@pytest.fixture
def job(records: Records) -> Job:
    accept(records, kind="fuse", owner="blue")
    claimed = records.leases.claim("w", ("short",))
    assert claimed is not None
    return claimed


def test_what_it_made_is_its_owners(records: Records, job: Job) -> None:
    before = records.blobs.stored_bytes("blue")
    for _ in range(2):  # the connection broke after the commit
        finished = records.leases.finish(job, ENDING, blobs=(FIRST, SECOND))
        assert finished == Finished(Status.SUCCEEDED, ("ab/first", "ab/second"))
    assert records.blobs.stored_bytes("blue") == before + 110
    assert records.jobs.read(job.id).artifacts == ENDING.artifacts


def test_a_file_that_was_here_before_stays_where_it_lies(records: Records, job: Job) -> None:
    there = store(records, owner="red")
    finished = records.leases.finish(job, ENDING, blobs=(FIRST, StoredBlob(there.sha256, there.size, "ab/again")))
    assert finished == Finished(Status.SUCCEEDED, ("ab/first", there.location))
    assert records.blobs.find(there.sha256, "blue") == there


def test_an_end_whose_files_cannot_be_recorded_is_not_written(records: Records, job: Job) -> None:
    before = records.blobs.stored_bytes("blue")
    with pytest.raises(IntegrityError):
        records.leases.finish(job, ENDING, blobs=(FIRST, StoredBlob("2" * 64, 10, FIRST.location)))
    assert records.jobs.read(job.id).status is Status.RUNNING
    assert records.blobs.stored_bytes("blue") == before


def test_what_a_canceled_job_made_is_its_owners(records: Records, job: Job) -> None:
    before = records.blobs.stored_bytes("blue")
    records.jobs.cancel(job.id)
    for _ in range(2):
        finished = records.leases.finish(job, ENDING, blobs=(FIRST, SECOND))
        assert finished == Finished(Status.CANCELED, ("ab/first", "ab/second"))
    assert records.blobs.stored_bytes("blue") == before + 110
    ended = records.jobs.read(job.id)
    assert (ended.artifacts, ended.result) == (ENDING.artifacts, None)


def test_what_a_failed_job_made_is_its_owners(records: Records, job: Job) -> None:
    ending = Ending(Status.FAILED, error=KILLED.error, artifacts=ENDING.artifacts)
    assert records.leases.finish(job, ending, blobs=(FIRST,)) == Finished(Status.FAILED, ("ab/first",))
    assert records.jobs.read(job.id).artifacts == ENDING.artifacts
    assert records.blobs.find(FIRST.sha256, "blue") == FIRST


def test_it_is_known_which_attempt_is_the_last(records: Records, job: Job) -> None:
    assert records.leases.may_be_tried_again(job)
    records.leases.retry(job, "it was killed", KILLED)
    assert not records.leases.may_be_tried_again(job), "the lease is another's"
    last = again(records)
    assert not records.leases.may_be_tried_again(last)
    records.journal.write(last, JournalEntry("state", StoredBlob("3" * 64, 1, "ab/3")))
    assert records.leases.may_be_tried_again(last), "it got on"
    records.jobs.cancel(last.id)
    assert not records.leases.may_be_tried_again(last), "it is to be canceled"


def test_what_a_lost_job_made_is_nobodys(records: Records, job: Job) -> None:
    before = records.blobs.stored_bytes("blue")
    (lease,) = records.leases.held()
    records.leases.expire(lease)
    assert records.leases.finish(job, ENDING, blobs=(FIRST,)) is None
    assert records.blobs.stored_bytes("blue") == before


KILLED = Ending(Status.FAILED, error=JobError(code="killed", title="x", detail="x"))


def again(records: Records) -> Job:
    job = records.leases.claim("w", ("short",))
    assert job is not None
    return job


def test_a_job_whose_attempts_are_spent_has_ended_as_was_said(records: Records, job: Job) -> None:
    for _ in range(MAX_ATTEMPTS - 1):
        assert records.leases.retry(job, "it was killed", KILLED, stage=Stage("read", 1, 2)) is Status.QUEUED
        assert records.jobs.read(job.id).stage is None
        job = again(records)
    assert records.leases.retry(job, "it was killed", KILLED, stage=Stage("read", 1, 2)) is Status.FAILED
    ended = records.jobs.read(job.id)
    assert (ended.attempt, ended.error, ended.stage) == (MAX_ATTEMPTS, KILLED.error, Stage("read", 1, 2))
    assert [entry.event for entry in records.jobs.log(job.id)][-1] is Event.ENDED
    assert records.leases.retry(job, "it was killed", KILLED) is None


def test_one_that_got_on_has_all_its_attempts_again(records: Records, job: Job) -> None:
    for number in range(2 * MAX_ATTEMPTS):
        entry = JournalEntry("state", StoredBlob(f"{number:064}", 1, f"ab/{number}"))
        assert records.journal.write(job, entry).location == entry.blob.location
        assert records.leases.retry(job, "it was killed", KILLED) is Status.QUEUED
        job = again(records)
