"""What a heart tells with its beats."""

import time

import pytest

from tests.worker.records.making import accept
from worker.errors import Unavailable
from worker.heart import Heart
from worker.records import Records
from worker.records.values import Job, LogEntry, Stage, Status

_PAUSE = 0.05


def claim(records: Records) -> Job:
    accept(records)
    job = records.leases.claim("w", ("short",))
    assert job is not None
    return job


def seen(records: Records, job: Job, wanted: Stage | None) -> bool:
    """Whether the record says soon that the job is there."""
    deadline = time.monotonic() + 10
    while records.jobs.read(job.id).stage != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
    return records.jobs.read(job.id).stage == wanted


def test_how_fast_a_stage_is_goes_with_the_beats(records: Records) -> None:
    job = claim(records)
    with Heart(records.leases, job, 0.01) as heart:
        heart.advance(1, 2, "images")
        assert heart.stage is None
        heart.begin("measure", 1, 2)
        heart.advance(7, 100, "images")
        assert heart.stage == Stage("measure", 1, 2, 7, 100, "images", None)
        time.sleep(_PAUSE)
        heart.advance(17, 100, "images")
        assert heart.stage is not None
        assert heart.stage.rate is not None
        assert 0 < heart.stage.rate <= 10 / _PAUSE
        assert seen(records, job, heart.stage)
        heart.begin("write", 2, 2)
        heart.advance(1, 1, "files")
        assert heart.stage == Stage("write", 2, 2, 1, 1, "files", None)
        assert seen(records, job, heart.stage)


def test_stages_that_no_beat_could_tell_of_are_told_by_the_next(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = claim(records)
    beat, trouble = records.leases.beat, [Unavailable("the database does not answer")] * 3

    def beat_later(job: Job, stage: Stage | None, begun: tuple[LogEntry, ...]) -> Status | None:
        if trouble:
            raise trouble.pop()
        return beat(job, stage, begun)

    monkeypatch.setattr(records.leases, "beat", beat_later)
    with Heart(records.leases, job, 0.01) as heart:
        heart.begin("read", 1, 2)
        heart.begin("write", 2, 2)
        assert seen(records, job, heart.stage)
    assert trouble == []
    assert heart.begun == ()
    assert [entry.text for entry in records.jobs.log(job.id)[2:]] == ["read (1 of 2)", "write (2 of 2)"]
