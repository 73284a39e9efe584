"""Whose fault a failure is: the worker's, the database's or the store's, or that of one job's files.

The first gives the job back as if it had never run, and its worker rests. The second costs the job an attempt.
"""

import errno
from collections.abc import Callable

import structlog

from worker.errors import FULL_DISK, StorageFull, Unavailable
from worker.job_run.attempt import Attempt
from worker.job_run.outcomes import Returned, Spent, failed
from worker.records.values import Ending
from worker.runner.failures import internal_error, told

log = structlog.get_logger()

TRANSIENT_ERRORS = (Unavailable, StorageFull, OSError)
"""Errors of reading and writing that may go by."""

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


def spent(attempt: Attempt, error: OSError) -> Spent:
    """The end for a job whose own files cannot be read or written; the next attempt may find a worker that can."""
    log.error("the files of a job cannot be read or written", job=attempt.job.id, reason=str(error))
    said = Unavailable(f"the worker could not read or write files: {error.strerror or error}")
    return Spent(failed(told(said, attempt.stage_name)), "its files could not be read or written", rests=True)


def broken(attempt: Attempt) -> Ending:
    """The end for a job that an error in the worker's own code stopped. That error is logged by the caller."""
    said = "the job could not be run to its end; the server's log says why."
    return failed(internal_error(said, attempt.stage_name))
