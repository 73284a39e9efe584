"""Entering the sandbox: a process confines itself, and nothing lets it out again."""

import os
from dataclasses import dataclass
from pathlib import Path

from worker.sandbox import landlock, rlimits, seccomp
from worker.sandbox.confinement import Confinement, SandboxError
from worker.sandbox.privileges import drop_privileges


@dataclass(frozen=True, slots=True)
class Isolation:
    """Which walls stand beside the resource limits.

    landlock   version of its ABI; 0: the kernel lacks it, and a job can read what its user can
    seccomp    False: the kernel lacks it, and a job can reach the network
    """

    landlock: int
    seccomp: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What stands, for people."""
        walls = ("limits", f"landlock-{self.landlock}" if self.landlock else "", "seccomp" if self.seccomp else "")
        return tuple(filter(None, walls))

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.landlock > 0 and self.seccomp


def available() -> Isolation:
    """What `enter` would give on this machine."""
    return Isolation(landlock.abi(), seccomp.supported())


def enter(confinement: Confinement) -> Isolation:
    """Confine this process, which must have a single thread. Raises SandboxError, OSError.

    Keeps one descriptor open for ever: the process's own directory below /proc, whose rule would else go with its
    cache entry.
    """
    if len(os.listdir("/proc/self/task")) != 1:
        raise SandboxError("a process with several threads cannot be confined whole")
    rules = confinement.rules()
    os.open(Path("/proc/self"), os.O_PATH | os.O_CLOEXEC)
    rlimits.apply(confinement.limits)
    drop_privileges()
    return Isolation(landlock.restrict(rules), seccomp.install(confinement.gpu))
