"""How an attempt at a job comes to its end."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event

from worker.job_run.heartbeat import Heartbeat
from worker.records.values import Ending, JobError, Status
from worker.runner import messages


@dataclass(frozen=True, slots=True)
class Returned:
    """The job waits again as if it had never run: its worker cannot go on.

    rests   whether that worker would do no better with the next job, and claims none for a while
    """

    rests: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """The job waits again with one attempt less; after its last one it has ended so.

    why     what its log says of it
    rests   as above: another worker may be luckier
    """

    ending: Ending
    why: str
    rests: bool = False


@dataclass(frozen=True, slots=True)
class Lost:
    """The lease went to somebody else: nothing of this job is ours to write."""


Outcome = Ending | Returned | Spent | Lost
Interruption = Callable[[Heartbeat, Event], Outcome | None]
"""Says how a job ends that may not go on; None if it may."""


def interruption(heartbeat: Heartbeat, stopping: Event) -> Outcome | None:
    """How a job ends that may not go on: its lease is lost, it is canceled, or its worker stops; None if it may."""
    if heartbeat.lost:
        return Lost()
    if heartbeat.canceled:
        return Ending(Status.CANCELED)
    return Returned() if stopping.is_set() else None


def interruption_at_its_end(heartbeat: Heartbeat, stopping: Event) -> Outcome | None:
    """As `interruption`, of a job that has ended: that it is canceled keeps nobody from writing how."""
    if heartbeat.lost:
        return Lost()
    return Returned() if stopping.is_set() else None


def failed(error: messages.JobError) -> Ending:
    """The end of a job that failed for this reason."""
    return Ending(Status.FAILED, error=JobError(**error.model_dump()))
