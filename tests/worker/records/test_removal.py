"""Taking a job back: all of it goes, nothing of others does, and whoever comes late finds nothing."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from tests.app.http.results import score_text
from tests.worker.records.making import new_job, store
from worker.errors import JobNotEnded, JobNotFound
from worker.records import Records
from worker.records.board_filters import BoardFilter
from worker.records.jobs import Filter
from worker.records.scores import Order
from worker.records.tables import holdings, idempotency_keys, job_files, job_log, jobs, scores
from worker.records.values import (
    Artifact,
    Ending,
    Event,
    Idempotency,
    Job,
    JournalEntry,
    LogEntry,
    Status,
    StoredBlob,
)

LANES = ("short", "long")
BOARD = BoardFilter("digits")
NEVER, LARGE = 365, 10**9


def sent(records: Records, content: str = "content", owner: str = "", **changes: object) -> Job:
    """A job of a file."""
    blob = store(records, owner, content, size=100)
    return records.jobs.submit(new_job(blob, owner=owner, **changes), None, 100).job


def ended(
    records: Records, content: str = "content", owner: str = "", made: str | None = None, **changes: object
) -> Job:
    """One that has succeeded: with a score, or with a file that holds `made`."""
    job = sent(records, content, owner, kind="score" if made is None else "fuse", team=owner or None, **changes)
    claimed = records.leases.claim("worker", LANES)
    assert claimed is not None
    assert claimed.id == job.id
    if made is None:
        assert records.leases.finish(claimed, Ending(Status.SUCCEEDED, score_text(350, 0.4)))
    else:
        blob = store(records, owner, made, size=10)
        files = (Artifact(name="made.onnx", sha256=blob.sha256, size=10),)
        assert records.leases.finish(claimed, Ending(Status.SUCCEEDED, "{}", artifacts=files), blobs=(blob,))
    return records.jobs.read(job.id)


def rows(records: Records, job_id: str) -> dict[str, int]:
    """How many rows of each table speak of a job."""
    columns = (jobs.c.id, job_log.c.job_id, job_files.c.job_id, scores.c.job_id, idempotency_keys.c.job_id)
    with records.database.engine.connect() as connection:
        return {
            column.table.name: connection.scalar(select(func.count()).where(column == job_id)) or 0
            for column in columns
        }


def test_all_that_is_known_of_it_goes(records: Records) -> None:
    other, teacher = ended(records, "other"), store(records, content="teacher")
    blob = store(records)
    new = new_job(blob, files=(teacher.sha256,))
    records.jobs.submit(new, Idempotency("key", "f" * 64), 10)
    claimed = records.leases.claim("worker", LANES)
    assert claimed is not None
    records.leases.finish(claimed, Ending(Status.SUCCEEDED, score_text(350, 0.3)))
    assert all(rows(records, new.id).values())
    board = records.scores.entries(BOARD, Order(), 0, 10)
    assert [entry.job_id for entry in board[0]] == [new.id, other.id]
    job = records.jobs.read(new.id)
    assert records.jobs.delete(new.id, "") == job
    assert not any(rows(records, new.id).values())
    with pytest.raises(JobNotFound):
        records.jobs.read(new.id)
    assert [left.id for left in records.jobs.list(Filter(), 10)] == [other.id]
    (entry,), total = records.scores.entries(BOARD, Order(), 0, 10)
    assert (entry.job_id, entry.rank, total) == (other.id, 1, 1)
    assert records.scores.entry(new.id) is None
    assert records.jobs.read(other.id) == other
    again = records.jobs.submit(new_job(store(records)), Idempotency("key", "f" * 64), 10)
    assert again.new, "its key went with it"


def test_a_second_time_and_a_strangers_job_are_not_there(records: Records) -> None:
    job = ended(records, owner="blue")
    for owner in ("red", ""):
        with pytest.raises(JobNotFound):
            records.jobs.delete(job.id, owner)
    records.jobs.delete(job.id, "blue")
    with pytest.raises(JobNotFound):
        records.jobs.delete(job.id, "blue")


def test_a_job_that_has_not_ended_stays(records: Records) -> None:
    job = sent(records)

    def refused(status: Status) -> None:
        with pytest.raises(JobNotEnded, match=f"is {status}: cancel it"):
            records.jobs.delete(job.id, "")
        with pytest.raises(JobNotFound):
            records.jobs.delete(job.id, "red")  # who may not know of it is told of nothing
        assert records.jobs.read(job.id).status is status

    refused(Status.QUEUED)
    claimed = records.leases.claim("worker", LANES)
    assert claimed is not None
    refused(Status.RUNNING)
    records.jobs.cancel(job.id)
    refused(Status.CANCELING)
    records.leases.finish(claimed, Ending(Status.CANCELED))
    assert records.jobs.delete(job.id, "").status is Status.CANCELED


def test_a_job_that_never_ran_goes_too(records: Records) -> None:
    job = sent(records)
    records.jobs.cancel(job.id)
    records.jobs.delete(job.id, "")
    assert not any(rows(records, job.id).values())


def test_files_that_nothing_else_names_make_room_and_are_swept(records: Records) -> None:
    job = ended(records, "sent", made="made")
    uploaded = store(records, content="uploaded", size=1)
    assert records.blobs.stored_bytes("") == 111
    assert records.blobs.forget_unneeded(NEVER, LARGE) == ()
    records.jobs.delete(job.id, "")
    assert records.blobs.stored_bytes("") == 1
    swept = {blob.sha256 for blob in records.blobs.forget_unneeded(NEVER, LARGE)}
    assert job.checkpoint is not None
    assert swept == {job.checkpoint.sha256, job.artifacts[0].sha256}
    assert records.blobs.find(uploaded.sha256, "") == uploaded, "what is of no job is kept as ever"


@pytest.mark.parametrize("way", ["checkpoint", "teacher", "artifact"])
def test_a_file_that_another_job_names_stays(records: Records, way: str) -> None:
    job = ended(records, "sent", made="made")
    shared = job.artifacts[0].sha256
    if way == "checkpoint":
        other = ended(records, "made")
    elif way == "teacher":
        other = ended(records, "else", files=(shared,))
    else:
        other = ended(records, "else", made="made")
    records.jobs.delete(job.id, "")
    assert {blob.sha256 for blob in records.blobs.forget_unneeded(NEVER, LARGE)} == {job.checkpoint.sha256}
    assert records.blobs.find(shared, "") is not None
    records.jobs.delete(other.id, "")
    assert shared in {blob.sha256 for blob in records.blobs.forget_unneeded(NEVER, LARGE)}


def test_what_another_team_holds_stays_with_that_team(records: Records) -> None:
    blue, red = ended(records, owner="blue"), ended(records, owner="red")
    sha256 = blue.checkpoint.sha256
    records.jobs.delete(blue.id, "blue")
    assert (records.blobs.find(sha256, "blue"), records.blobs.stored_bytes("blue")) == (None, 0)
    assert records.blobs.stored_bytes("red") == 100
    assert records.blobs.forget_unneeded(NEVER, LARGE) == ()
    assert records.blobs.find(sha256, "red") is not None
    records.jobs.delete(red.id, "red")
    assert len(records.blobs.forget_unneeded(NEVER, LARGE)) == 1


def test_a_file_that_comes_again_before_the_sweep_is_its_senders(records: Records) -> None:
    job = ended(records)
    records.jobs.delete(job.id, "")
    again = sent(records)
    assert records.blobs.forget_unneeded(NEVER, LARGE) == ()
    assert records.blobs.find(again.checkpoint.sha256, "") is not None


def test_the_file_of_a_best_entry_is_kept_no_longer_than_the_entry(records: Records) -> None:
    job = ended(records, "best", owner="blue")
    uploaded = records.blobs.add(StoredBlob(job.checkpoint.sha256, 100, "again"), "red")  # so that somebody has it
    assert records.blobs.forget_unneeded(-1, LARGE) == ()
    records.jobs.delete(job.id, "blue")
    assert records.blobs.forget_unneeded(NEVER, LARGE) == ()
    assert records.blobs.forget_unneeded(-1, LARGE) == (uploaded,)


def test_a_workers_late_words_change_nothing(records: Records) -> None:
    blob = store(records)
    records.jobs.submit(new_job(blob, kind="train", lane="long"), None, 10)
    job = records.leases.claim("worker", LANES)
    assert job is not None
    entry = JournalEntry("epoch", StoredBlob("e" * 64, 5, "journal/1"))
    assert records.journal.write(job, entry).location == entry.blob.location
    records.jobs.cancel(job.id)
    (lease,) = records.leases.held()
    assert records.leases.expire(lease) is Status.CANCELED
    records.jobs.delete(job.id, "")
    stages = (LogEntry("2026-01-31T12:00:00.000Z", Event.STAGE, "train"),)
    made = (StoredBlob("d" * 64, 5, "made"),)
    assert records.leases.beat(job, None, stages) is None
    assert records.leases.finish(job, Ending(Status.SUCCEEDED, "{}"), stages, blobs=made) is None
    assert not records.leases.give_back(job, stages)
    assert records.leases.expire(lease) is None
    assert records.journal.write(job, JournalEntry("epoch", StoredBlob("f" * 64, 5, "journal/2"))).location is None
    with pytest.raises(JobNotFound):
        records.jobs.cancel(job.id)
    assert not any(rows(records, job.id).values())
    assert records.blobs.stored_bytes("") == 0
    assert records.journal.forget(job.id) == ()
    assert records.journal.forget_ended() == ("journal/1",), "and what it wrote down is swept"


def test_a_team_that_deletes_what_ran_is_not_served_sooner(records: Records) -> None:
    """Blue, red and green have two jobs each: all have their first before any has its second."""
    for owner in ("blue", "red", "green"):
        for _ in range(2):
            sent(records, owner=owner)
    served = []
    for _ in range(6):
        job = records.leases.claim("worker", LANES)
        assert job is not None
        served.append(job.owner)
        records.leases.finish(job, Ending(Status.CANCELED))
        if job.owner == "blue":
            records.jobs.delete(job.id, "blue")
    assert served == ["blue", "red", "green"] * 2


def test_a_deletion_whose_commit_nobody_heard_of_is_no_missing_job(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ended(records)
    once, trouble = records.database._once, [OperationalError("COMMIT", {}, Exception("the connection broke"))]

    def breaking(work: object, write: bool) -> object:
        done = once(work, write)  # type: ignore[arg-type]
        if write and trouble:
            raise trouble.pop()
        return done

    monkeypatch.setattr(records.database, "_once", breaking)
    assert records.jobs.delete(job.id, "") == job
    assert not trouble


def test_holdings_are_all_that_goes_of_files(records: Records) -> None:
    """A blob's row, and with it its file, is left to the sweep: it deletes files, and knows what else is in use."""
    job = ended(records)
    records.jobs.delete(job.id, "")
    assert records.blobs.find(job.checkpoint.sha256, None) is not None
    with records.database.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(holdings)) == 0
