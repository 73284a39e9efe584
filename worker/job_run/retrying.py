"""Trying again to read and write files while database, disk or store are away."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from worker.job_run.attempt import Attempt, Interruption, interruption
from worker.job_run.blame import TRANSIENT_ERRORS, is_full, is_ours
from worker.job_run.outcomes import Outcome

T = TypeVar("T")
Patience = Callable[[Exception], float]
"""For how many seconds such an error is met by trying again."""

log = structlog.get_logger()

_RETRY_SECONDS = 1.0  # between two tries
_LONGEST_RETRY_SECONDS = 30.0  # between tries to store files, each of which copies them
_PATIENCE_SECONDS = 900.0  # that a file is waited for: an error of the system may be one that stays
_HICCUP_SECONDS = 10.0  # that a job waits for what another worker may have
_END_SECONDS = 60.0  # that an end without success waits for its files


class Interrupted(Exception):
    """The job may not go on, whatever it waits for."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def raise_if_interrupted(attempt: Attempt, interrupted: Interruption = interruption) -> None:
    """Raise Interrupted unless the job may go on."""
    if (outcome := interrupted(attempt)) is not None:
        raise Interrupted(outcome)


def pause(attempt: Attempt) -> bool:
    """Wait between two tries; true as soon as the worker is to stop."""
    return attempt.context.stopping.wait(_RETRY_SECONDS)


def with_retries(
    attempt: Attempt, act: Callable[[], T], patience: Patience, interrupted: Interruption = interruption
) -> T:
    """What `act` answers. While database or store are away, or full, it is tried again after growing pauses.

    Raises Interrupted, such an error that lasts for longer than `patience` says, and what else `act` raises.
    """
    began, seconds = time.monotonic(), _RETRY_SECONDS
    while True:
        try:
            return act()
        except TRANSIENT_ERRORS as error:
            raise_if_interrupted(attempt, interrupted)
            if time.monotonic() - began >= patience(error):
                raise
            log.warning("job waits for its files", reason=str(error))
        resumes = time.monotonic() + seconds
        while time.monotonic() < resumes:
            pause(attempt)
            raise_if_interrupted(attempt, interrupted)
        seconds = min(2 * seconds, _LONGEST_RETRY_SECONDS)


def patience_before(attempt: Attempt) -> Patience:
    """Before its process starts a job is better off with another worker, unless it is its own file that fails."""

    def patience(error: Exception) -> float:
        if is_full(error):
            return 0.0
        return _HICCUP_SECONDS if is_ours(error, attempt.context.blobs.identity) else _PATIENCE_SECONDS

    return patience


def patience_after(_: Exception) -> float:
    """What a job that succeeded has made is not given up soon: it may have taken days."""
    return _PATIENCE_SECONDS


def patience_at_its_end(_: Exception) -> float:
    """Of a job that did not succeed the end matters more than its files."""
    return _END_SECONDS
