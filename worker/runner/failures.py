"""From an exception that a job raised to the JobError that its sender reads."""

import errno
from collections.abc import Iterator

from micronet.errors import MicronetError
from worker.errors import FULL_DISK, DiskFull, FileSizeLimit, InternalError, OutOfMemory, ThreadLimit
from worker.limits import MEBI, JobLimits
from worker.runner.messages import JobError, job_error

_ALLOCATOR_SAYS = ("can't allocate memory", "not enough memory", "out of memory", "Cannot allocate memory")
_NO_THREAD = "can't start new thread"


def job_error_of(error: BaseException, stage: str | None, limits: JobLimits) -> JobError:
    """The JobError of an exception. An unexpected one tells nothing of itself: its traceback is for the log.

    What was raised because memory ran out says so, whatever the code between took it for.
    """
    for each in _chain(error):
        if _is_out_of_memory(each):
            return out_of_memory(stage, limits, on_gpu="CUDA" in str(each))
    if isinstance(error, MicronetError):
        return told(error, stage)
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return thread_limit(stage, limits)
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return told(DiskFull("there was no room left for the job's files; it can be tried again."), stage)
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return file_too_large(stage, limits)
    return internal_error("the job ended with an error of the server's own; its log has the details.", stage)


def told(error: MicronetError, stage: str | None) -> JobError:
    """What an error of the tree says, as the end of a job."""
    return job_error(error.code, error.title, str(error), stage=stage, retryable=error.retryable, yours=error.yours)


def out_of_memory(stage: str | None, limits: JobLimits, on_gpu: bool = False) -> JobError:
    """The job wanted more than it may have."""
    bound = "the GPU has" if on_gpu else f"the {limits.memory_bytes // MEBI} MiB a job may use"
    return told(
        OutOfMemory(f"the job needs more memory than {bound}: a smaller network, or smaller images, would fit."), stage
    )


def thread_limit(stage: str | None, limits: JobLimits) -> JobError:
    """The job could not start a thread: for their number, or for want of memory for a stack."""
    memory = limits.memory_bytes // MEBI
    return told(
        ThreadLimit(f"it may have {limits.processes} of them, whose stacks count among its {memory} MiB."), stage
    )


def file_too_large(stage: str | None, limits: JobLimits) -> JobError:
    """The job wrote more into one file than it may."""
    return told(FileSizeLimit(f"the job may write files of at most {limits.file_bytes // MEBI} MiB."), stage)


def internal_error(detail: str, stage: str | None) -> JobError:
    """A fault of this program."""
    return told(InternalError(detail), stage)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    """MemoryError, and what torch's allocators raise: RuntimeError that of the CPU, torch.OutOfMemoryError others."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _ALLOCATOR_SAYS)
