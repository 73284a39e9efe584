"""Waiting for a job's files while database, disk or store are away."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from worker.job_run.blame import TRANSIENT_ERRORS, is_full, is_ours
from worker.job_run.context import WorkerContext
from worker.job_run.heartbeat import Heartbeat
from worker.job_run.outcomes import Interruption, Outcome, interruption

T = TypeVar("T")
Patience = Callable[[Exception], float]
"""Seconds that such an error is borne."""

log = structlog.get_logger()

_RETRY_SECONDS = 1.0  # between tries to read or write while database, disk or store are away
_LONGEST_RETRY_SECONDS = 30.0  # between tries to store files, each of which copies them
_PATIENCE_SECONDS = 900.0  # that a file is waited for: an error of the system may be one that stays
_HICCUP_SECONDS = 10.0  # that a job waits for what another worker may have
_END_SECONDS = 60.0  # that an end without success waits for its files


class Interrupted(Exception):
    """The job may not go on, whatever it waits for."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def go_on(context: WorkerContext, heartbeat: Heartbeat, interrupted: Interruption = interruption) -> None:
    """Raise Interrupted unless the job may go on."""
    if (outcome := interrupted(heartbeat, context.stopping)) is not None:
        raise Interrupted(outcome)


def patiently(
    context: WorkerContext,
    heartbeat: Heartbeat,
    act: Callable[[], T],
    patience: Patience,
    interrupted: Interruption = interruption,
) -> T:
    """What `act` answers; it is tried again while database or store stay away, or are full, with growing pauses.

    Raises Interrupted, such an error that was borne for as long as `patience` says, and what else `act` raises.
    """
    began, pause = time.monotonic(), _RETRY_SECONDS
    while True:
        try:
            return act()
        except TRANSIENT_ERRORS as error:
            go_on(context, heartbeat, interrupted)
            if time.monotonic() - began >= patience(error):
                raise
            log.warning("job waits for its files", reason=str(error))
        resumes = time.monotonic() + pause
        while time.monotonic() < resumes:
            context.stopping.wait(min(pause, _RETRY_SECONDS))
            go_on(context, heartbeat, interrupted)
        pause = min(2 * pause, _LONGEST_RETRY_SECONDS)


def patience_before(context: WorkerContext) -> Patience:
    """Before its process starts a job is better off with another worker, unless it is its own file that fails."""

    def patience(error: Exception) -> float:
        if is_full(error):
            return 0.0
        return _HICCUP_SECONDS if is_ours(error, context.blobs.identity) else _PATIENCE_SECONDS

    return patience


def patience_after(_: Exception) -> float:
    """What a job has made is held on to."""
    return _PATIENCE_SECONDS


def patience_at_its_end(_: Exception) -> float:
    """Of a job that did not succeed the end matters more than its files."""
    return _END_SECONDS
