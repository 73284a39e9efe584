"""Giving up the privileges a process has, and that it could gain."""

import contextlib
import struct
from pathlib import Path

from worker.sandbox.kernel import capset, prctl

PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 1, 24, 38, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522


def die_with_parent(signal: int) -> None:
    """Receive `signal` when the thread that forked this process ends, however it ends."""
    prctl(PR_SET_PDEATHSIG, signal)


def drop_privileges() -> None:
    """No program run from here on gains anything, and where this is root (tests, careless set-ups), root's powers go.

    Root without capabilities still owns root's files; Landlock keeps it from those.
    """
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    with contextlib.suppress(OSError):  # kernels before 4.3 have no ambient set
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        with contextlib.suppress(PermissionError):  # an ordinary user's bounding set stays, and is of no use to it
            prctl(PR_CAPBSET_DROP, capability)
    capset(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))
