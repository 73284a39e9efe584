"""Resource limits of a job's process: the kernel's own, which no kernel lacks."""

import os
import resource
from pathlib import Path

from worker.limits import MEBI, JobLimits

LAST_WORDS_BYTES = 64 * MEBI
"""Between the soft and the hard limit of memory: what a process that ran out may use to say so."""

_CPU_GRACE_SECONDS = 5
_TIMES_THREADS = 16


def apply(limits: JobLimits) -> None:
    """Bound this process for ever. Memory is RLIMIT_DATA: all private writable memory.

    RLIMIT_AS would bound the address space, of which CUDA reserves more than any machine has memory. What RLIMIT_DATA
    leaves out, shared mappings, counts as resident memory, which the supervisor watches.

    So it does with threads: RLIMIT_NPROC is compared with those of the user in all containers, of which this process
    sees its own. It is many times what one job may have, so that none meets it for its neighbours' sake, and it holds
    one that starts thousands between two looks of the supervisor.
    """
    _bound(resource.RLIMIT_DATA, limits.memory_bytes, limits.memory_bytes + LAST_WORDS_BYTES)
    _bound(resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + _CPU_GRACE_SECONDS)
    _bound(resource.RLIMIT_FSIZE, limits.file_bytes)
    _bound(resource.RLIMIT_NOFILE, limits.open_files)
    _bound(resource.RLIMIT_NPROC, _threads_of_this_user() + _TIMES_THREADS * limits.processes)
    _bound(resource.RLIMIT_CORE, 0)


def allow_last_words() -> None:
    """After memory ran out: enough of it to report that."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _bound(kind: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, or leave it lower where it already is."""
    _, ceiling = resource.getrlimit(kind)
    wanted = soft if hard is None else hard
    if ceiling != resource.RLIM_INFINITY:
        wanted, soft = min(wanted, ceiling), min(soft, ceiling)
    resource.setrlimit(kind, (soft, wanted))


def _threads_of_this_user() -> int:
    """Those that can be seen from here, of the server too. (Root's the kernel does not count.)"""
    uid, count = os.getuid(), 0
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                count += len(os.listdir(Path(entry.path, "task")))
        except OSError:  # it ended meanwhile
            continue
    return count
