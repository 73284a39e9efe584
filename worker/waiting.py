"""Waiting for a job's files while database, disk or store are away."""

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from worker.attempts import Outcome, interruption
from worker.bench import Bench
from worker.faults import AWAY, is_full, is_ours
from worker.heart import Heart

T = TypeVar("T")

log = structlog.get_logger()

_RETRY_SECONDS = 1.0  # between tries to read or write while database, disk or store are away
_LONGEST_RETRY_SECONDS = 30.0  # between tries to store files, each of which copies them
_PATIENCE_SECONDS = 900.0  # that a file is waited for: an error of the system may be one that stays
_HICCUP_SECONDS = 10.0  # that a job waits for what another worker may have


class Interrupted(Exception):
    """The job may not go on, whatever it waits for."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def go_on(bench: Bench, heart: Heart) -> None:
    """Raise Interrupted unless the job may go on."""
    if (interrupted := interruption(heart, bench.stopping)) is not None:
        raise Interrupted(interrupted)


def patiently(bench: Bench, heart: Heart, act: Callable[[], T], patience: Callable[[Exception], float]) -> T:
    """What `act` answers; it is tried again while database or store stay away, or are full, with growing pauses.

    `patience`: seconds that such an error is borne. Raises Interrupted, that error, and what else `act` raises.
    """
    began, pause = time.monotonic(), _RETRY_SECONDS
    while True:
        try:
            return act()
        except AWAY as error:
            go_on(bench, heart)
            if time.monotonic() - began >= patience(error):
                raise
            log.warning("job waits for its files", reason=str(error))
        resumes = time.monotonic() + pause
        while time.monotonic() < resumes:
            bench.stopping.wait(min(pause, _RETRY_SECONDS))
            go_on(bench, heart)
        pause = min(2 * pause, _LONGEST_RETRY_SECONDS)


def patience_before(bench: Bench) -> Callable[[Exception], float]:
    """Before its process starts a job is better off with another worker, unless it is its own file that fails."""

    def patience(error: Exception) -> float:
        if is_full(error):
            return 0.0
        return _HICCUP_SECONDS if is_ours(error, bench.blobs.identity) else _PATIENCE_SECONDS

    return patience


def patience_after(_: Exception) -> float:
    """What a job has made is held on to."""
    return _PATIENCE_SECONDS
