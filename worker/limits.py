"""What one job may use, and how much memory there is to share out."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MEBI, GIBI = 1 << 20, 1 << 30
HOUR = 3600.0


def memory_ceiling(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of memory this process may count on: physical RAM, or the tightest limit of its control groups (v1, v2)."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *_group_limits(proc, cgroups)])


def default_memory_bytes() -> int:
    """Three quarters of the ceiling: the rest is for the server beside the job."""
    return memory_ceiling() * 3 // 4


def _group_limits(proc: Path, cgroups: Path) -> Iterator[int]:
    """Limits in bytes of the groups this process is in and of all above them; a group without a limit gives none."""
    try:
        memberships = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return  # a kernel without control groups
    for line in memberships:
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            yield from _limits_upwards(cgroups, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_upwards(cgroups / "memory", path, "memory.limit_in_bytes")


def _limits_upwards(root: Path, path: str, name: str) -> Iterator[int]:
    # In a container the path may be the host's and lead nowhere here; the root then is the container's own group.
    group = root / path.strip("/")
    for directory in (group, *group.parents):
        try:
            text = (directory / name).read_text().strip()
        except OSError:
            text = ""
        if text.isdigit():
            yield int(text)
        if directory == root:
            return


def _all_processors_for_the_wall() -> int:
    return int(HOUR) * (os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Bounds of one job, enforced by the kernel except where it says supervisor. The defaults are the short lane's.

    wall_seconds    from start to end (supervisor)
    memory_bytes    of private memory (RLIMIT_DATA), and resident together with what is shared (supervisor)
    cpu_seconds     of processor time, all threads together
    file_bytes      of the largest file it may write
    scratch_bytes   of all files it leaves (supervisor)
    journal_bytes   of what it writes down to go on from (supervisor)
    processes       threads of the job (supervisor); it can start no process
    open_files      file descriptors
    """

    wall_seconds: float = HOUR
    memory_bytes: int = field(default_factory=default_memory_bytes)
    cpu_seconds: int = field(default_factory=_all_processors_for_the_wall)
    file_bytes: int = 8 * GIBI
    scratch_bytes: int = 32 * GIBI
    journal_bytes: int = 8 * GIBI
    processes: int = 1024
    open_files: int = 1024
