"""What a heartbeat tells with its beats."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.worker.records.making import accept
from worker.errors import Unavailable
from worker.job_run.heartbeat import Heartbeat
from worker.records import Records
from worker.records.values import Job, LogEntry, Stage, Status

_PAUSE = 0.05
LEASE = 30.0


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
    with Heartbeat(records.leases, job, 0.01, LEASE) as heartbeat:
        heartbeat.advance(1, 2, "images")
        assert heartbeat.stage is None
        heartbeat.begin("measure", 1, 2)
        heartbeat.advance(7, 100, "images")
        assert heartbeat.stage == Stage("measure", 1, 2, 7, 100, "images", None)
        time.sleep(_PAUSE)
        heartbeat.advance(17, 100, "images")
        assert heartbeat.stage is not None
        assert heartbeat.stage.rate is not None
        assert 0 < heartbeat.stage.rate <= 10 / _PAUSE
        assert seen(records, job, heartbeat.stage)
        heartbeat.begin("write", 2, 2)
        heartbeat.advance(1, 1, "files")
        assert heartbeat.stage == Stage("write", 2, 2, 1, 1, "files", None)
        assert seen(records, job, heartbeat.stage)


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
    with Heartbeat(records.leases, job, 0.01, LEASE) as heartbeat:
        heartbeat.begin("read", 1, 2)
        heartbeat.begin("write", 2, 2)
        assert seen(records, job, heartbeat.stage)
    assert trouble == []
    assert heartbeat.begun == ()
    assert [entry.text for entry in records.jobs.log(job.id)[2:]] == ["read (1 of 2)", "write (2 of 2)"]


@pytest.mark.parametrize("stage", [("read", 2**40, 1), ("read\0", 1, 1)])
def test_a_stage_that_no_record_can_keep_is_left_out_of_the_heartbeat(
    postgres_url: str, stage: tuple[str, int, int]
) -> None:
    records = Records(postgres_url)
    job = claim(records)
    with Heartbeat(records.leases, job, 0.01, LEASE) as heartbeat:
        heartbeat.begin(*stage)
        heartbeat.advance(1, 2, "images")
        _wait(lambda: records.leases.held()[0].beat > 3)
        assert heartbeat.begun == ()
        records.jobs.cancel(job.id)
        _wait(lambda: heartbeat.canceled)
        assert not heartbeat.lost
        heartbeat.begin("write", 2, 2)
        assert seen(records, job, Stage("write", 2, 2))
    records.close()


def test_a_heartbeat_that_cannot_beat_for_the_length_of_its_lease_has_lost_its_job(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, lease = claim(records), 0.5
    tried: list[float] = []

    def fail(*_: Any) -> Status | None:
        tried.append(time.monotonic())
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(records.leases, "beat", fail)
    with Heartbeat(records.leases, job, 0.01, lease) as heartbeat:
        _wait(lambda: heartbeat.lost)
        assert tried[-1] - tried[0] > lease - 0.1


def test_a_heartbeat_that_beats_again_has_not_lost_its_job_however_many_beats_failed(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, lease = claim(records), 1.0
    beat, began = records.leases.beat, time.monotonic()
    failed, beaten = [], []

    def fail_often(*given: Any) -> Status | None:
        if time.monotonic() < began + len(beaten) * lease / 4:  # one beat in a quarter of a lease
            failed.append(given)
            raise RuntimeError("a fault of ours")
        beaten.append(given)
        return beat(*given)

    monkeypatch.setattr(records.leases, "beat", fail_often)
    with Heartbeat(records.leases, job, 0.001, lease) as heartbeat:
        _wait(lambda: len(beaten) > 9)
        assert not heartbeat.lost
    assert time.monotonic() - began > 2 * lease
    assert len(failed) > 100


def test_a_database_that_is_away_takes_no_job_away(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    job = claim(records)
    beats = []

    def fail(*given: object) -> Status | None:
        beats.append(given)
        raise Unavailable("the database does not answer")

    monkeypatch.setattr(records.leases, "beat", fail)
    with Heartbeat(records.leases, job, 0.001, 0.01) as heartbeat:
        _wait(lambda: len(beats) > 100)
        assert not heartbeat.lost


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
