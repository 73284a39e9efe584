"""What the record and the log of a job say when it has ended."""

from dataclasses import replace
from typing import cast

import pytest

from tests.worker.job_run.running import QuickRunner, claimed, claimed_again, ran
from worker.errors import DeviceUnavailable
from worker.job_run.context import WorkerContext
from worker.job_run.run import run_job
from worker.records.values import Ending, Job, Status
from worker.runner import Runner
from worker.runner.failures import told
from worker.runner.messages import Exited, Failed, Progressed, StageBegan


def test_a_job_that_ended_was_as_far_as_it_said_last(context: WorkerContext) -> None:
    """Between two beats: else one that has succeeded stands at 9,339 of 10,000 images for ever."""
    said = [StageBegan("evaluate", 2, 3), Progressed(9_339, 10_000, "images"), Progressed(10_000, 10_000, "images")]
    ended = ran(replace(context, beat_seconds=60), claimed(context), QuickRunner(said=said))
    assert ended.status is Status.SUCCEEDED
    assert ended.stage is not None
    assert (ended.stage.name, ended.stage.done, ended.stage.total) == ("evaluate", 10_000, 10_000)


def test_an_end_that_cannot_be_written_is_a_failed_job(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> None:
    job = claimed(context)
    finish = context.records.leases.finish

    def refuse(job: Job, ending: Ending, *rest: object) -> object:
        if ending.status is Status.SUCCEEDED:
            raise ValueError("no column takes this")
        return finish(job, ending, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(context.records.leases, "finish", refuse)
    ended = ran(context, job, QuickRunner())
    assert ended.error is not None
    assert (ended.status, ended.error.code) == (Status.FAILED, "internal-error")


@pytest.mark.parametrize("beat_seconds", [0.02, 1000.0])
def test_stages_of_any_length_are_told(context: WorkerContext, beat_seconds: float) -> None:
    """Those between two beats, those a beat tells of while the end is written, and no stage twice."""
    job = claimed(context)
    began = [StageBegan(name, index, 3) for index, name in enumerate(("read", "fuse", "write"), 1)]
    said = [*began, Progressed(1, 10, "images"), Progressed(3, 10, "images")]
    run_job(replace(context, beat_seconds=beat_seconds), job, cast(Runner, QuickRunner(said=said)), "cpu")
    entries = context.records.jobs.log(job.id)
    assert [entry.text for entry in entries[2:]] == ["read (1 of 3)", "fuse (2 of 3)", "write (3 of 3)", "succeeded"]
    assert [entry.at for entry in entries[1:]] == sorted(entry.at for entry in entries[1:])


def test_a_job_that_is_killed_waits_again_and_then_has_failed(context: WorkerContext) -> None:
    job, runner = claimed(context), QuickRunner()
    runner.ended = [Exited(-9)]
    back = ran(context, job, runner)
    assert (back.status, back.attempt) == (Status.QUEUED, 1)
    ended = ran(context, claimed_again(context, "short"), runner)
    assert ended.error is not None
    assert (ended.status, ended.attempt, ended.error.code) == (Status.FAILED, 2, "killed")
    assert runner.asked == 0, "the next job may do well"
    assert [entry.text for entry in context.records.jobs.log(job.id)][2::2] == [
        "its process was killed; the job waits again",
        "failed: killed",
    ]


def test_a_worker_whose_device_is_gone_leaves_the_job_to_others_and_says_so(context: WorkerContext) -> None:
    runner = QuickRunner(ended=[Failed(told(DeviceUnavailable("cuda:0 is not there"), None)), Exited(1)])
    job = claimed(context)
    assert not run_job(context, job, cast(Runner, runner), "cuda:0")
    back = context.records.jobs.read(job.id)
    assert (back.status, back.attempt) == (Status.QUEUED, 1)
    assert context.records.jobs.log(job.id)[-1].text == "its worker could not use its device; the job waits again"
    assert not run_job(context, claimed_again(context, "short"), cast(Runner, runner), "cuda:0"), "at its end, too"
    ended = context.records.jobs.read(job.id)
    assert ended.error is not None
    assert (ended.status, ended.error.code, ended.error.yours) == (Status.FAILED, "device-unavailable", False)
    assert run_job(context, claimed(context), cast(Runner, QuickRunner()), "cuda:0")
