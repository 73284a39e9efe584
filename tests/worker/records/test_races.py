"""Laws of the records when two transactions meet in the middle: whoever comes second sees what the first one did."""

import threading
from collections.abc import Callable

from sqlalchemy import event

from tests.worker.records.making import accept
from worker.records import Records
from worker.records.values import Ending, Job, Lease, Status

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
    for come_back in (records.leases.give_back, records.leases.retry):
        job, _ = _claimed(records)
        records.jobs.cancel(job.id)
        assert come_back(job)
        assert records.jobs.read(job.id).status is Status.CANCELED
        assert not come_back(job)
