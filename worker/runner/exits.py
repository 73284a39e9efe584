"""What the end of a job's process means."""

import signal
from collections.abc import Callable, Mapping

from worker.errors import Crashed, Killed, ProcessorTimeLimit, ScratchLimit, TimeLimit
from worker.limits import MEBI, JobLimits
from worker.runner.failures import file_too_large, internal_error, out_of_memory, thread_limit, told
from worker.runner.messages import Exited, JobError

KILLED = Killed.code
"""Code of jobs that were ended from outside, through no fault that is known: worth another try."""

_NO_MEMORY = (b"std::bad_alloc", b"MemoryError", b"can't allocate memory", b"not enough memory")
_NO_THREAD = (b"can't start new thread", b"Thread creation failed")

_CRASHES: Mapping[int, str] = {
    signal.SIGSEGV: "a forbidden memory access",
    signal.SIGBUS: "a bus error",
    signal.SIGABRT: "an abort",
    signal.SIGILL: "an instruction this processor lacks",
    signal.SIGFPE: "an arithmetic fault",
    signal.SIGSYS: "a forbidden system call",
    signal.SIGTRAP: "a trap",
}


def error_of_exit(exited: Exited, limits: JobLimits, stage: str | None = None, log: bytes = b"") -> JobError:
    """Why a process ended that said neither Done nor Failed, as far as its status and the end of its log tell.

    The log is the job's own word; it can make nothing worse than the job's own error.
    """
    status = exited.status
    by_status: Mapping[int | None, Callable[[], JobError]] = {
        None: lambda: _killed("the job's process was lost together with the one that watched it", stage),
        -signal.SIGXCPU: lambda: cpu_time_limit(limits, stage),
        -signal.SIGXFSZ: lambda: file_too_large(stage, limits),
    }
    if status in by_status:
        return by_status[status]()
    if any(words in log for words in _NO_MEMORY):
        return out_of_memory(stage, limits)
    if any(words in log for words in _NO_THREAD):
        return thread_limit(stage, limits)
    assert status is not None
    return _of_signal(-status, stage) if status < 0 else _of_status(status, stage)


def _of_signal(number: int, stage: str | None) -> JobError:
    if number == signal.SIGKILL:
        return _killed("the job's process was killed from outside, likely because the machine ran out of memory", stage)
    if number in _CRASHES:
        return _crashed(f"the job's process ended with {_CRASHES[number]}", stage)
    return _killed(f"the job's process was ended by signal {number}", stage)


def _of_status(status: int, stage: str | None) -> JobError:
    return internal_error(f"the job's process ended with status {status} and without an answer.", stage)


def misspoke(detail: str, stage: str | None) -> JobError:
    """A job wrote what is no message."""
    return internal_error(f"the job's process broke its protocol: {detail}", stage)


def wall_time_limit(limits: JobLimits, stage: str | None) -> JobError:
    """The job took longer than it may."""
    return told(TimeLimit(f"it may take {limits.wall_seconds:g} seconds."), stage)


def cpu_time_limit(limits: JobLimits, stage: str | None) -> JobError:
    """The job used up its processor time."""
    detail = f"it may use {limits.cpu_seconds} seconds of processor time, all threads together."
    return told(ProcessorTimeLimit(detail), stage)


def scratch_limit(limits: JobLimits, stage: str | None) -> JobError:
    """The job filled its directory."""
    return told(ScratchLimit(f"it may leave {limits.scratch_bytes // MEBI} MiB in 10,000 files."), stage)


def _killed(detail: str, stage: str | None) -> JobError:
    return told(Killed(f"{detail}; it can be tried again."), stage)


def _crashed(detail: str, stage: str | None) -> JobError:
    return told(Crashed(f"{detail}."), stage)
