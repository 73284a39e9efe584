"""A file is named by the jobs it was sent for, by those whose settings name it, and by those that made it."""

import pytest
from sqlalchemy import select

from tests.worker.records.making import new_job, store
from tests.worker.records.plans import goes_through_all, plans_of
from worker.records import Records
from worker.records.tables import job_artifacts
from worker.records.values import Artifact, Ending, Job, Status

SENT, BESIDE, MADE = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def job(records: Records) -> Job:
    """One of blue's that has ended, with one file made under two names."""
    sent, beside = (store(records, "blue", content) for content in ("sent", "beside"))
    records.jobs.submit(new_job(sent, kind="fuse", owner="blue", files=(beside.sha256,)), None, 10)
    job = records.leases.claim("w", ("short",))
    assert job is not None
    made = tuple(Artifact(name=name, sha256=MADE, size=10) for name in ("x.onnx", "y.onnx"))
    assert records.leases.finish(job, Ending(Status.SUCCEEDED, "{}", artifacts=made)) is not None
    return records.jobs.read(job.id)


def _files(records: Records, job: Job) -> list[str]:
    assert job.checkpoint is not None
    return [job.checkpoint.sha256, *records.jobs.files(job.id), MADE]


def test_by_its_owners_jobs_alone(records: Records, job: Job) -> None:
    for sha256 in _files(records, job):
        assert records.jobs.names(sha256, "blue")
        assert not records.jobs.names(sha256, "red")
        assert not records.jobs.names(sha256, "")
    assert not records.jobs.names("d" * 64, "blue")


def test_by_no_job_that_is_deleted(records: Records, job: Job) -> None:
    files = _files(records, job)
    records.jobs.delete(job.id, "blue")
    assert not any(records.jobs.names(sha256, "blue") for sha256 in files)
    assert records.database.read(lambda connection: connection.execute(select(job_artifacts)).first()) is None


def test_what_a_canceled_job_had_finished_is_named_by_it(records: Records) -> None:
    records.jobs.submit(new_job(store(records), kind="fuse"), None, 10)
    job = records.leases.claim("w", ("short",))
    assert job is not None
    records.jobs.cancel(job.id)
    records.leases.finish(job, Ending(Status.SUCCEEDED, "{}", artifacts=(Artifact(name="x", sha256=MADE, size=1),)))
    assert records.jobs.read(job.id).status is Status.CANCELED
    assert records.jobs.names(MADE, "")


def test_they_are_found_by_indexes(records: Records, job: Job) -> None:
    """An owner may have a hundred thousand jobs, and anybody asks for files that are not here."""
    plans = plans_of(records, lambda: records.jobs.names("d" * 64, "blue"))
    assert len(plans) == 3
    assert not [plan for plan in plans if goes_through_all(plan)]
