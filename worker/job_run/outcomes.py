"""How an attempt at a job comes to its end."""

from dataclasses import dataclass

from worker.records.values import Ending, JobError, Status
from worker.runner import messages


@dataclass(frozen=True, slots=True)
class Returned:
    """The job waits again as if it had never run: its worker cannot go on.

    rests   whether that worker would do no better with the next job, and claims none for a while
    why     what its log says of it
    """

    rests: bool = False
    why: str = "its worker cannot go on"


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
    """Another worker has the lease: this one writes nothing more of the job."""


Outcome = Ending | Returned | Spent | Lost


def failed(error: messages.JobError) -> Ending:
    """The end of a job that failed for this reason."""
    return Ending(Status.FAILED, error=JobError(**error.model_dump()))
