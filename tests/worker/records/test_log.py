"""Laws of the log: it tells of what happened, of nothing that did not, and of so much and no more."""

import pytest
from pydantic import ValidationError
from sqlalchemy import event

from tests.worker.records.making import accept
from tests.worker.records.plans import plans_of
from worker.records import Records
from worker.records.figures import attempts_broken_off
from worker.records.leases import MAX_ATTEMPTS
from worker.records.log import MOST_ENTRIES
from worker.records.values import Ending, Event, Job, JobError, LogEntry, Stage, Status

LANES = ("short",)


def claim(records: Records, worker: str = "w") -> Job:
    job = records.leases.claim(worker, LANES)
    assert job is not None
    return job


def told(records: Records, job: Job) -> list[tuple[str, str]]:
    return [(entry.event, entry.text) for entry in records.jobs.log(job.id)]


def begun(name: str, at: str = "2026-01-31T12:00:00.123Z") -> LogEntry:
    return LogEntry(at, Event.STAGE, name)


def expire(records: Records) -> Status | None:
    (lease,) = records.leases.held()
    return records.leases.expire(lease)


def test_a_life_is_told_in_order(records: Records) -> None:
    other = accept(records)
    job = claim(records, "host-1")
    assert job.id == other.id
    records.leases.beat(job, Stage("read", 1, 2), [begun("read (1 of 2)")])
    records.leases.finish(job, Ending(Status.FAILED, error=JobError(code="corrupt-file", title="x", detail="x")))
    assert told(records, job) == [
        ("queued", "score job accepted"),
        ("claimed", "by worker host-1, attempt 1"),
        ("stage", "read (1 of 2)"),
        ("ended", "failed: corrupt-file"),
    ]
    times = [entry.at for entry in records.jobs.log(job.id)]
    assert times[2] == begun("").at  # when it began, and not when it was written down
    assert records.jobs.log("0" * 32) == ()


def test_jobs_that_come_back_say_why(records: Records) -> None:
    accept(records, kind="fuse")
    assert records.leases.give_back(claim(records), [begun("give_back")])
    killed = Ending(Status.FAILED, error=JobError(code="killed", title="x", detail="x"))
    assert records.leases.retry(claim(records), "its process was killed", killed, [begun("retry")]) is Status.QUEUED
    job = claim(records, "w3")
    assert expire(records) is Status.FAILED
    assert told(records, job)[1:] == [
        ("claimed", "by worker w, attempt 1"),
        ("stage", "give_back"),
        ("given-back", "its worker cannot go on; the job waits again"),
        ("claimed", "by worker w, attempt 1"),
        ("stage", "retry"),
        ("given-back", "its process was killed; the job waits again"),
        ("claimed", "by worker w3, attempt 2"),
        ("lost", "worker w3 gave no sign of life; it is not tried again"),
        ("ended", "failed: worker-lost"),
    ]


def test_a_lost_job_that_waits_again_has_not_ended(records: Records) -> None:
    assert MAX_ATTEMPTS > 1
    job = accept(records)
    claim(records)
    assert expire(records) is Status.QUEUED
    assert told(records, job)[2:] == [("lost", "worker w gave no sign of life; the job waits again")]


def test_canceling_is_told_when_it_is_asked_and_when_it_is_done(records: Records) -> None:
    job = accept(records)
    records.jobs.cancel(job.id)
    records.jobs.cancel(job.id)
    assert told(records, job)[1:] == [("cancel-asked", "while queued"), ("ended", "canceled")]
    ways = (lambda job: records.leases.finish(job, Ending(Status.SUCCEEDED)), records.leases.give_back)
    for end in (*ways, lambda _: expire(records)):
        accept(records)
        job = claim(records)
        records.jobs.cancel(job.id)
        records.jobs.cancel(job.id)
        assert end(job)
        asked, *_, ended = told(records, job)[2:]
        assert (asked, ended) == (("cancel-asked", "while running"), ("ended", "canceled"))


def test_what_is_told_twice_is_written_once(records: Records) -> None:
    accept(records, kind="fuse")
    job = claim(records)
    stages = [begun("a"), begun("b"), begun("a", at="2026-01-31T12:00:01.000Z")]
    records.leases.beat(job, Stage("b", 1, 1), stages[:2])  # and its connection broke after the commit
    records.leases.beat(job, Stage("a", 1, 1), stages)
    records.leases.finish(job, Ending(Status.SUCCEEDED, result="{}"), stages)
    records.leases.finish(job, Ending(Status.SUCCEEDED, result="{}"), stages)
    assert [text for _, text in told(records, job)[2:]] == ["a", "b", "a", "succeeded"]


def test_what_did_not_happen_is_not_told(records: Records) -> None:
    accept(records)
    first = claim(records)
    with pytest.raises(ValidationError):
        records.leases.finish(first, Ending(Status.SUCCEEDED, result='"no score"'), [begun("count")])
    expire(records)
    second = claim(records)
    before = told(records, second)
    records.leases.beat(first, Stage("x", 1, 1), [begun("x")])
    records.leases.finish(first, Ending(Status.SUCCEEDED), [begun("x")])
    records.leases.give_back(first, [begun("x")])
    assert told(records, second) == before
    assert [word for word, _ in before] == ["queued", "claimed", "lost", "claimed"]


def test_a_beat_that_begins_no_stage_asks_the_log_nothing(records: Records) -> None:
    accept(records)
    job = claim(records)
    said: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            said.append(statement)

    event.listen(records.database.engine, "after_cursor_execute", hear)
    records.leases.beat(job, Stage("evaluate", 3, 4, 100, 10_000, "images", 12.5))
    event.remove(records.database.engine, "after_cursor_execute", hear)
    assert len(said) == 3
    assert not any("job_log" in statement for statement in said)
    stage = records.jobs.read(job.id).stage
    assert stage is not None
    assert stage.rate == 12.5


def test_a_log_is_bounded_and_says_so(records: Records) -> None:
    accept(records)
    job = claim(records)
    stages = [begun(str(number)) for number in range(MOST_ENTRIES)]
    for _ in range(2):
        records.leases.beat(job, None, stages)
    stages = [begun("more", at="2026-01-31T12:00:01.000Z")]
    while told(records, job)[-1][1] != "further attempts are not listed":
        records.leases.give_back(job, stages)
        job = claim(records)
    records.leases.give_back(job)
    job = claim(records)
    records.jobs.cancel(job.id)
    records.leases.give_back(job)
    entries = told(records, job)
    assert entries.count(("unlisted", "further stages are not listed")) == 1
    assert entries.count(("unlisted", "further attempts are not listed")) == 1
    assert [word for word, _ in entries[-3:]] == ["unlisted", "cancel-asked", "ended"]
    assert [text for word, text in entries if word == "stage"] == list(map(str, range(898)))
    assert 990 < len(entries) <= MOST_ENTRIES


def test_names_from_jobs_that_no_database_keeps(records: Records) -> None:
    accept(records)
    job = claim(records)
    error = JobError(code="a\0b", title="x", detail="x")
    assert records.leases.finish(job, Ending(Status.FAILED, error=error), [begun("\0\N{SNOWMAN}")])
    assert [text for _, text in told(records, job)[2:]] == ["\ufffd\N{SNOWMAN}", "failed: a\ufffdb"]


def test_attempts_broken_off_are_counted_by_an_index_of_them_alone(records: Records) -> None:
    """Of logs that may have millions of entries, whenever somebody looks."""
    accept(records)
    lost = claim(records)
    assert expire(records) is Status.QUEUED
    records.leases.finish(claim(records), Ending(Status.SUCCEEDED))
    accept(records)
    assert records.leases.give_back(claim(records))
    assert records.leases.retry(claim(records), "its process was killed", Ending(Status.FAILED)) is Status.QUEUED
    assert attempts_broken_off(records.database) == {"lost": 1, "given-back": 2}
    (plan,) = plans_of(records, lambda: attempts_broken_off(records.database))
    assert "ix_job_log_broken_off" in plan
    assert ("lost", "worker w gave no sign of life; the job waits again") in told(records, lost)
