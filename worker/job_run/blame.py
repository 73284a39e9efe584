"""Whose fault it is that files cannot be read or written: the worker's and the store's, or that of one job's files."""

import errno
from collections.abc import Callable

import structlog

from worker.errors import StorageFull, Unavailable
from worker.job_run.outcomes import Returned, Spent, failed
from worker.records.values import Job, Stage
from worker.runner.failures import told

log = structlog.get_logger()

TRANSIENT_ERRORS = (Unavailable, StorageFull, OSError)
"""Errors of reading and writing that may go by."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOT_HERE = frozenset({errno.ENODEV, errno.ENOTCONN, errno.ESTALE})  # a file system that is not mounted, or cut off


def is_full(error: Exception) -> bool:
    """Whether a file system has no room."""
    return isinstance(error, OSError) and error.errno in _FULL


def is_ours(error: Exception, ask: Callable[[], object]) -> bool:
    """Whether it is the worker, the database or the whole store that fails, and not the files of one job.

    `ask` asks the store for something else, which it does not do either while it is away.
    """
    if not isinstance(error, OSError) or error.errno in _FULL | _NOT_HERE:
        return True
    try:
        ask()
    except OSError:
        return True
    return False


def given_back(job: Job, error: Exception) -> Returned:
    """The end for a job whose worker cannot do its part: it waits for another one, or for better times."""
    log.error("worker cannot do its part; the job goes back", job=job.id, reason=str(error))
    return Returned(rests=True)


def spent(job: Job, error: OSError, stage: Stage | None) -> Spent:
    """The end for a job whose own files cannot be read or written: another worker may do better, and then none does."""
    log.error("the files of a job cannot be read or written", job=job.id, reason=str(error))
    said = Unavailable(f"the worker could not read or write files: {error.strerror or error}")
    ending = failed(told(said, None if stage is None else stage.name))
    return Spent(ending, "its files could not be read or written", rests=True)
