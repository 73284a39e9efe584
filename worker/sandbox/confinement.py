"""Which files a job may see: its scratch directory, the data sets, and what Python and torch are made of."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from worker.limits import JobLimits
from worker.sandbox.landlock import DEVICE, READ, WRITE, Rule

_OWN_PACKAGES = ("micronet", "worker")

_SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/localtime",
    "/etc/ld.so.cache", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm", "/sys/devices/system",
    "/sys/fs/cgroup", "/dev/zero", "/dev/random", "/dev/urandom",
)  # fmt: skip
"""Whole directories of libraries, but never /usr, /etc or /proc: secrets and other processes lie there."""

_SYSTEM_GPU = ("/sys", "/usr/local/cuda", "/usr/local/nvidia", "/proc/driver/nvidia", "/proc/devices", "/proc/modules")


class SandboxError(Exception):
    """The deployment makes isolation impossible; the message says what to move where."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What one job is confined to.

    scratch    its directory: `in` is for reading, `out`, `tmp` and `journal` for writing
    data_dir   directory of data sets, for reading
    gpu        whether it may use the machine's GPUs
    """

    scratch: Path
    data_dir: Path | None = None
    gpu: bool = False
    limits: JobLimits = field(default_factory=JobLimits)

    @property
    def writable(self) -> tuple[Path, ...]:
        """Directories below which it may write."""
        return self.scratch / "out", self.scratch / "tmp", self.scratch / "journal"

    def rules(self) -> list[Rule]:
        """All it may touch. Raises SandboxError where that would include what must stay hidden."""
        readable = [path.resolve() for path in self._readable()]
        self._check_hidden(readable)
        rules = [Rule(path, READ) for path in (self.scratch / "in", Path(f"/proc/{os.getpid()}"), *readable)]
        rules += [Rule(path, WRITE) for path in self.writable]
        rules += [Rule(path, DEVICE) for path in (Path("/dev/null"), *(gpu_devices() if self.gpu else ()))]
        return rules

    def _readable(self) -> Iterator[Path]:
        yield from filter(os.path.exists, map(Path, (*_SYSTEM, *(_SYSTEM_GPU if self.gpu else ()))))
        yield from filter(os.path.exists, _installation())
        if self.data_dir is not None and self.data_dir.exists():  # if not, the job says which data set is missing
            yield self.data_dir

    def _check_hidden(self, readable: list[Path]) -> None:
        """Scratch lies in the server's home, beside everything a job must not see."""
        home = self.scratch.resolve().parent
        for path in readable:
            if home.is_relative_to(path):
                raise SandboxError(
                    f"jobs read {path}, and the server's files are below it ({home}): keep MICRONET_HOME outside of "
                    "the data directory, of Python's and of the system's libraries."
                )


def gpu_devices() -> list[Path]:
    """What CUDA opens; empty on a machine without NVIDIA GPUs."""
    return sorted(Path("/dev").glob("nvidia*"))


def _installation() -> Iterator[Path]:
    """Python, what is installed in it, and this program, which may be run from a checkout: of that, only packages."""
    for prefix in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}:
        yield from (Path(prefix, "lib"), Path(prefix, "lib64"))
    yield from (Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    yield from (Path(entry) for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages"))
    yield from (Path(entry) for entry in os.environ.get("LD_LIBRARY_PATH", "").split(":") if entry.startswith("/"))
    root = Path(__file__).resolve().parents[2]
    yield from (root / name for name in _OWN_PACKAGES)
