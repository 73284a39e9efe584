"""One attempt at a job, and why it may not go on."""

from collections.abc import Callable
from dataclasses import dataclass

from worker.job_run.context import WorkerContext
from worker.job_run.heartbeat import Heartbeat
from worker.job_run.outcomes import Lost, Outcome, Returned
from worker.limits import JobLimits
from worker.records.values import Ending, Job, Status


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed job, what its worker has to run it with, and its heartbeat, which knows how far it is."""

    context: WorkerContext
    job: Job
    heartbeat: Heartbeat

    @property
    def limits(self) -> JobLimits:
        """What the job may use."""
        return self.context.limits[self.job.lane]

    @property
    def stage_name(self) -> str | None:
        """The stage that the job is at; None before its first."""
        stage = self.heartbeat.stage
        return None if stage is None else stage.name


Interruption = Callable[[Attempt], Outcome | None]
"""Says how a job ends that may not go on; None if it may."""


def interruption(attempt: Attempt) -> Outcome | None:
    """How a job ends that may not go on: its lease is lost, it is canceled, or its worker stops; None if it may."""
    if attempt.heartbeat.lost:
        return Lost()
    if attempt.heartbeat.canceled:
        return Ending(Status.CANCELED)
    return Returned() if attempt.context.stopping.is_set() else None


def interruption_at_its_end(attempt: Attempt) -> Outcome | None:
    """As `interruption`, of a job that has ended: its end is written even if it is canceled meanwhile."""
    return loss(attempt) or (Returned() if attempt.context.stopping.is_set() else None)


def loss(attempt: Attempt) -> Outcome | None:
    """As `interruption`, of the files of a job that has ended: they are copied to the end even where the worker stops,
    which takes a job back that it no longer waits for."""
    return Lost() if attempt.heartbeat.lost else None
