"""Process groups, as /proc shows them."""

import contextlib
import os
import signal
import stat
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

_ENDED = (b"Z", b"X")
_SECONDS_TO_END = 0.8
_COUNTED = ("RssAnon:", "RssShmem:")
_DELETED = b" (deleted)"


def members(group: int) -> Iterator[int]:
    """Processes of the group that have not ended."""
    return (int(thread.parts[2]) for thread in _living(group))


def threads(group: int) -> int:
    """Threads of the group, those of all its processes together."""
    return sum(len(_listed(thread.parent)) for thread in _living(group))


def resident_bytes(group: int) -> int:
    """Memory the group has resident, private and shared; pages of files are not counted, the kernel can take them back.

    What several processes share counts for each of them.
    """
    return sum(map(_resident_bytes, _living(group)))


def nameless_bytes(group: int, directory: Path, unseen: int) -> int | None:
    """Disk space of files that have no name any more, and stay while the group has them open, or in its memory.

    Of one in memory that is not open, a file below `directory`, nobody can tell the size: it counts `unseen` bytes.
    None where a process cannot be looked into.
    """
    opened: dict[int, int] = {}
    mapped: set[int] = set()
    for thread in _living(group):
        try:
            opened |= _nameless_files(thread)
            mapped |= _nameless_mappings(thread, os.fsencode(directory.resolve()) + b"/")
        except PermissionError:
            if _has_memory(thread):  # else it is about to end, and has nothing open any more
                return None
        except OSError:  # it ended meanwhile
            continue
    return sum(opened.values()) + unseen * len(mapped - opened.keys())


def _living(group: int) -> Iterator[Path]:
    """Of each process of the group that has not ended, the first thread that has not: /proc/PROCESS/task/THREAD.

    The first thread of a process may end and leave the others: memory and files are theirs then.
    """
    for name in filter(str.isdigit, os.listdir("/proc")):
        process = Path("/proc", name)
        if _state_and_group(process)[1] != group:
            continue
        tasks = (process / "task" / task for task in sorted(_listed(process / "task"), key=int))
        yield from islice((task for task in tasks if _state_and_group(task)[0] not in _ENDED), 1)


def _state_and_group(process: Path) -> tuple[bytes, int]:
    """As of a process that has ended, where there is none."""
    try:
        line = (process / "stat").read_bytes()
    except OSError:
        return _ENDED[-1], 0
    state, _, group = line[line.rindex(b")") + 2 :].split(maxsplit=3)[:3]
    return state, int(group)


def _listed(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _resident_bytes(thread: Path) -> int:
    try:
        lines = (thread / "status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_COUNTED))


def _nameless_files(thread: Path) -> dict[int, int]:
    """Disk space by number of the file."""
    found = {}
    for name in os.listdir(thread / "fd"):
        try:
            facts = os.stat(thread / "fd" / name)
        except FileNotFoundError:  # it was closed meanwhile
            continue
        if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
            found[facts.st_ino] = facts.st_blocks * 512
    return found


def _nameless_mappings(thread: Path, directory: bytes) -> set[int]:
    """Numbers of files. A line: addresses, rights, offset, device, number, path."""
    with (thread / "maps").open("rb") as lines:
        columns = (line.split(maxsplit=5) for line in lines if line.endswith(_DELETED + b"\n"))
        return {int(number) for *_, number, path in columns if path.startswith(directory)}


def _has_memory(thread: Path) -> bool:
    try:
        return not (thread / "statm").read_bytes().startswith(b"0 ")
    except OSError:
        return False


def end_group(group: int) -> bool:
    """Kill the group, whose leader is being killed anyway, and wait for it: whether it is gone within 0.8 seconds."""
    deadline = time.monotonic() + _SECONDS_TO_END
    while any(members(group)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
