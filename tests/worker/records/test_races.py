"""Laws of the records when two transactions meet in the middle: whoever comes second sees what the first one did."""

import threading
from collections.abc import Callable

from sqlalchemy import event

from tests.worker.records.making import accept, new_job
from worker.errors import CheckpointNotFound, JobNotEnded, JobNotFound
from worker.records import Records
from worker.records.jobs import Filter
from worker.records.values import Ending, Job, Lease, Status, StoredBlob

LANES = ("short",)
_SECONDS_TO_WAIT = 0.5  # for the one between, which may have to wait for the one around it


def _meanwhile(records: Records, around: Callable[[], object], between: Callable[[], object]) -> None:
    """Run `around`, and `between` from the moment when `around` has spoken of jobs for the first time."""
    here, met = threading.get_ident(), []

    def meet(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.get_ident() == here and not met and "jobs" in statement:
            met.append(threading.Thread(target=between))
            met[0].start()
            met[0].join(_SECONDS_TO_WAIT)

    event.listen(records.database.engine, "after_cursor_execute", meet)
    try:
        around()
    finally:
        event.remove(records.database.engine, "after_cursor_execute", meet)
    met[0].join()


def _claimed(records: Records) -> tuple[Job, Lease]:
    accept(records, kind="fuse")
    job = records.leases.claim("w", LANES)
    assert job is not None
    (lease,) = records.leases.held()
    return job, lease


def test_a_job_that_ends_while_its_lease_expires_is_not_run_again(records: Records) -> None:
    job, lease = _claimed(records)
    said: list[bool] = []
    _meanwhile(
        records,
        lambda: records.leases.expire(lease),
        lambda: said.append(records.leases.finish(job, Ending(Status.SUCCEEDED, result="{}"))),
    )
    assert records.jobs.read(job.id).status is (Status.SUCCEEDED if said == [True] else Status.QUEUED)


def test_a_job_canceled_while_its_lease_expires_does_not_run_again(records: Records) -> None:
    job, lease = _claimed(records)
    _meanwhile(records, lambda: records.leases.expire(lease), lambda: records.jobs.cancel(job.id))
    assert records.jobs.read(job.id).status is Status.CANCELED


def test_a_job_given_back_while_it_is_canceled_does_not_run_again(records: Records) -> None:
    job, _ = _claimed(records)
    _meanwhile(records, lambda: records.jobs.cancel(job.id), lambda: records.leases.give_back(job))
    assert records.jobs.read(job.id).status is Status.CANCELED


def test_a_job_canceled_while_it_ends_says_so_to_both(records: Records) -> None:
    job, _ = _claimed(records)
    answers: list[Job] = []
    _meanwhile(
        records,
        lambda: records.leases.finish(job, Ending(Status.SUCCEEDED, result="{}")),
        lambda: answers.append(records.jobs.cancel(job.id)),
    )
    assert [answer.status for answer in answers] == [records.jobs.read(job.id).status] == [Status.SUCCEEDED]


def test_a_job_to_be_canceled_that_comes_back_is_canceled_at_once(records: Records) -> None:
    failed = Ending(Status.FAILED)
    for come_back in (records.leases.give_back, lambda job: records.leases.retry(job, "it was killed", failed)):
        job, _ = _claimed(records)
        records.jobs.cancel(job.id)
        assert come_back(job)
        assert records.jobs.read(job.id).status is Status.CANCELED
        assert not come_back(job)


def _ended(records: Records) -> Job:
    job, _ = _claimed(records)
    assert records.leases.finish(job, Ending(Status.SUCCEEDED, result="{}"))
    return job


def test_of_two_who_delete_a_job_one_did(records: Records) -> None:
    job, said = _ended(records), []

    def delete() -> None:
        try:
            said.append(records.jobs.delete(job.id, "").id)
        except JobNotFound:
            said.append("")

    _meanwhile(records, delete, delete)
    assert sorted(said) == ["", job.id]


def test_a_job_that_is_deleted_while_it_is_canceled_is_gone(records: Records) -> None:
    job, said = _ended(records), []

    def cancel() -> None:
        try:
            said.append(records.jobs.cancel(job.id).status)
        except JobNotFound:
            said.append(None)

    _meanwhile(records, lambda: records.jobs.delete(job.id, ""), cancel)
    assert said == [None]


def test_a_job_that_ends_while_it_is_deleted_has_ended_or_is_gone(records: Records) -> None:
    job, _ = _claimed(records)
    said: list[object] = []

    def delete() -> None:
        try:
            said.append(records.jobs.delete(job.id, ""))
        except JobNotEnded:
            said.append(None)

    _meanwhile(records, lambda: records.leases.finish(job, Ending(Status.SUCCEEDED, result="{}")), delete)
    left = [each.id for each in records.jobs.list(Filter(), 10)]
    assert (said == [None]) is (left == [job.id])


def test_a_file_is_not_let_go_under_a_job_that_comes(records: Records) -> None:
    """Whoever is first: the job that names the file is accepted and has it, or is told that it is not here."""
    for first in ("delete", "submit"):
        job, said = _ended(records), []
        assert job.checkpoint is not None
        blob = records.blobs.find(job.checkpoint.sha256, "")
        assert blob is not None

        def submit(blob: StoredBlob = blob, said: list[str] = said) -> None:
            try:
                said.append(records.jobs.submit(new_job(blob), None, 100).job.id)
            except CheckpointNotFound:
                said.append("")

        def delete(job: Job = job) -> None:
            records.jobs.delete(job.id, "")

        _meanwhile(records, *((delete, submit) if first == "delete" else (submit, delete)))
        assert (said == [""]) is (records.blobs.find(blob.sha256, "") is None)
        for accepted in filter(None, said):
            records.jobs.cancel(accepted)
            records.jobs.delete(accepted, "")
