"""What the record and the log of a job say when it has ended."""

from dataclasses import replace
from typing import cast

import pytest

from tests.worker.job_run.running import QuickRunner, claimed, claimed_again, ran
from worker.bench import Bench
from worker.job_run import run_job
from worker.records.values import Ending, Job, Status
from worker.runner import Exited, Progressed, Runner, StageBegan


def test_a_job_that_ended_was_as_far_as_it_said_last(bench: Bench) -> None:
    """Between two beats: else one that has succeeded stands at 9,339 of 10,000 images for ever."""
    said = [StageBegan("evaluate", 2, 3), Progressed(9_339, 10_000, "images"), Progressed(10_000, 10_000, "images")]
    ended = ran(replace(bench, beat_seconds=60), claimed(bench), QuickRunner(said=said))
    assert ended.status is Status.SUCCEEDED
    assert ended.stage is not None
    assert (ended.stage.name, ended.stage.done, ended.stage.total) == ("evaluate", 10_000, 10_000)


def test_an_end_that_cannot_be_written_is_a_failed_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    job = claimed(bench)
    finish = bench.records.leases.finish

    def refuse(job: Job, ending: Ending, *rest: object) -> object:
        if ending.status is Status.SUCCEEDED:
            raise ValueError("no column takes this")
        return finish(job, ending, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.records.leases, "finish", refuse)
    ended = ran(bench, job, QuickRunner())
    assert ended.error is not None
    assert (ended.status, ended.error.code) == (Status.FAILED, "internal-error")


@pytest.mark.parametrize("beat_seconds", [0.02, 1000.0])
def test_stages_of_any_length_are_told(bench: Bench, beat_seconds: float) -> None:
    """Those between two beats, those a beat tells of while the end is written, and no stage twice."""
    job = claimed(bench)
    began = [StageBegan(name, index, 3) for index, name in enumerate(("read", "fuse", "write"), 1)]
    said = [*began, Progressed(1, 10, "images"), Progressed(3, 10, "images")]
    run_job(replace(bench, beat_seconds=beat_seconds), job, cast(Runner, QuickRunner(said=said)), "cpu")
    entries = bench.records.jobs.log(job.id)
    assert [entry.text for entry in entries[2:]] == ["read (1 of 3)", "fuse (2 of 3)", "write (3 of 3)", "succeeded"]
    assert [entry.at for entry in entries[1:]] == sorted(entry.at for entry in entries[1:])


def test_a_job_that_is_killed_waits_again_and_then_has_failed(bench: Bench) -> None:
    job, runner = claimed(bench), QuickRunner()
    runner.ended = [Exited(-9)]
    back = ran(bench, job, runner)
    assert (back.status, back.attempt) == (Status.QUEUED, 1)
    ended = ran(bench, claimed_again(bench, "short"), runner)
    assert ended.error is not None
    assert (ended.status, ended.attempt, ended.error.code) == (Status.FAILED, 2, "killed")
    assert runner.asked == 0, "the next job may do well"
    assert [entry.text for entry in bench.records.jobs.log(job.id)][2::2] == [
        "its process was killed; the job waits again",
        "failed: killed",
    ]
