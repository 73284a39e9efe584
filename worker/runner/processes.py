"""Process groups, as /proc shows them."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_ENDED = (b"Z", b"X")
_SECONDS_TO_END = 0.8
_COUNTED = ("RssAnon:", "RssShmem:")


def members(group: int) -> Iterator[int]:
    """Processes of the group that have not ended."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            stat = Path("/proc", name, "stat").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        state, _, its_group = stat[stat.rindex(b")") + 2 :].split(maxsplit=3)[:3]
        if int(its_group) == group and state not in _ENDED:
            yield int(name)


def resident_bytes(group: int) -> int:
    """Memory the group has resident, private and shared; pages of files are not counted, the kernel can take them back.

    What several processes share counts for each of them.
    """
    return sum(map(_resident_bytes, members(group)))


def _resident_bytes(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_COUNTED))


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
