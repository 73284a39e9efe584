"""Whose fault a failure is: the worker's, the database's or the store's, or that of one job's files.

The first gives the job back as if it had never run, and its worker rests. The second costs the job an attempt. A job
that is too large for the disk of its worker is nobody's fault: it goes back, and not for ever.
"""

import errno
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from worker.errors import FULL_DISK, DiskFull, StorageFull, Unavailable
from worker.job_run.attempt import Attempt
from worker.job_run.fetching import size_of
from worker.job_run.outcomes import Returned, Spent, failed
from worker.records.values import Ending
from worker.runner.failures import internal_error, told
from worker.runner.outputs import bytes_below

log = structlog.get_logger()

TRANSIENT_ERRORS = (Unavailable, StorageFull, OSError)
"""Errors of reading and writing that may go by."""

_TIMES_WITHOUT_ROOM = 4  # until a job ends for it, each long after the one before
_NOT_HERE = frozenset({errno.ENODEV, errno.ENOTCONN, errno.ESTALE})  # a file system that is not mounted, or cut off
_OF_THE_HOST = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})  # no descriptor or no memory is left for any file


def is_full(error: Exception) -> bool:
    """Whether a file system has no room."""
    return isinstance(error, OSError) and error.errno in FULL_DISK


def is_ours(error: Exception, ask: Callable[[], object]) -> bool:
    """Whether the worker, the database or the whole store fails, and not just the files of one job.

    `ask` makes another request to the store, which fails too while the store is down.
    """
    if not isinstance(error, OSError) or error.errno in FULL_DISK | _NOT_HERE | _OF_THE_HOST:
        return True
    try:
        ask()
    except OSError:
        return True
    return False


def given_back(attempt: Attempt, error: Exception) -> Returned:
    """The end for a job whose worker cannot do its part: it waits for another one, or for better times."""
    log.error("worker cannot do its part; the job goes back", job=attempt.job.id, reason=str(error))
    return Returned(rests=True)


def without_room(attempt: Attempt, scratch: Path) -> Returned | Ending:
    """The end for a job whose files found no room in `scratch`: here others go first for a while, and other workers may
    take it. One that found none again and again ends: it would wait for ever. Raises ServiceError, OSError."""
    context, job = attempt.context, attempt.job
    size = size_of(context.records, job)
    room = shutil.disk_usage(scratch).free + (bytes_below(scratch) or 0)
    times = context.too_large.add(job.id)
    log.error("no room for the files of a job", job=job.id, size=size, room=room, times=times)
    if times < _TIMES_WITHOUT_ROOM:
        return Returned(rests=True, why="there is no room for its files on the disk of its worker")
    said = (
        f"its files have {size:,} bytes, and {times} times there was no room for them on the disk of a worker, which "
        f"has {room:,} now. Where that is made, or a worker with a larger disk started, it can be sent again."
    )
    return failed(told(DiskFull(said), attempt.stage_name))


def not_stored(attempt: Attempt, error: Exception) -> Returned:
    """The end for a job that did succeed, and what it made cannot be stored through no fault of its own.

    It may have taken days, so it never ends for that. Where there is no room, others go first here for a while: some
    leave less, or nothing."""
    outcome = given_back(attempt, error)
    if not is_full(error):
        return outcome
    attempt.context.too_large.put_off(attempt.job.id)
    return replace(outcome, why="there is no room in the store for what it made")


def spent(attempt: Attempt, error: OSError) -> Spent:
    """The end for a job whose own files cannot be read or written; the next attempt may find a worker that can."""
    log.error("the files of a job cannot be read or written", job=attempt.job.id, reason=str(error))
    said = Unavailable(f"the worker could not read or write files: {error.strerror or error}")
    return Spent(failed(told(said, attempt.stage_name)), "its files could not be read or written", rests=True)


def broken(attempt: Attempt) -> Ending:
    """The end for a job that an error in the worker's own code stopped. That error is logged by the caller."""
    said = "the job could not be run to its end; the server's log says why."
    return failed(internal_error(said, attempt.stage_name))
