"""The end of a job and what it made are written together, or neither is."""

import pytest
from sqlalchemy.exc import IntegrityError

from tests.worker.records.making import accept, store
from worker.records import Records
from worker.records.values import Artifact, Ending, Finished, Job, Status, StoredBlob

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


def test_what_a_canceled_job_made_is_nobodys(records: Records, job: Job) -> None:
    before = records.blobs.stored_bytes("blue")
    records.jobs.cancel(job.id)
    for _ in range(2):
        assert records.leases.finish(job, ENDING, blobs=(FIRST, SECOND)) == Finished(Status.CANCELED, (None, None))
    assert records.blobs.stored_bytes("blue") == before
    assert records.jobs.read(job.id).artifacts == ()


def test_what_a_lost_job_made_is_nobodys(records: Records, job: Job) -> None:
    before = records.blobs.stored_bytes("blue")
    (lease,) = records.leases.held()
    records.leases.expire(lease)
    assert records.leases.finish(job, ENDING, blobs=(FIRST,)) is None
    assert records.blobs.stored_bytes("blue") == before
