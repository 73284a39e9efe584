"""Children that are started again when they die, and die with their parent."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger()

_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 30.0
_FIRST_PAUSE, _LONGEST_PAUSE, _STABLE_SECONDS = 0.5, 10.0, 30.0
_PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """A `micronet` command that is to run for as long as we do. `log`: descriptor for what it prints, else ours."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    descriptors: Sequence[int] = ()
    log: int | None = None
    process: subprocess.Popen[bytes] | None = None
    _started: float = 0.0
    _pause: float = _FIRST_PAUSE
    _start_at: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Start it if it does not run; with growing pauses while it keeps dying."""
        if self.process is not None and (code := self.process.poll()) is not None:
            if time.monotonic() - self._started > _STABLE_SECONDS:
                self._pause = _FIRST_PAUSE
            log.warning("process ended; it is started again", process=self.name, code=code, seconds=self._pause)
            self._start_at = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self.process = None
        if self.process is None and time.monotonic() >= self._start_at:
            self._started = time.monotonic()
            command = [sys.executable, "-m", "app", *self.arguments, "--parent", str(os.getpid())]
            self.process = subprocess.Popen(
                command, env=dict(self.environment), pass_fds=tuple(self.descriptors), stdout=self.log, stderr=self.log
            )

    def end(self, deadline: float) -> None:
        """SIGTERM, and SIGKILL for one that is still there at `deadline` (monotonic)."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("process killed", process=self.name)
            self.process.kill()
            self.process.wait()


def keep_running(children: Sequence[Child]) -> None:
    """Run until SIGTERM or SIGINT; then end the children, the last first."""
    stopped = [False]

    def stop(*_: object) -> None:
        stopped[0] = True

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not stopped[0]:
            for child in children:
                child.look()
            time.sleep(_LOOK_SECONDS)
    finally:
        end_all(children)
        for number, handler in previous.items():
            signal.signal(number, handler)


def end_all(children: Sequence[Child]) -> None:
    """SIGTERM to all, then wait for each."""
    for child in reversed(children):
        if child.process is not None and child.process.poll() is None:
            child.process.terminate()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    for child in reversed(children):
        child.end(deadline)


def die_with_parent(parent: int | None) -> None:
    """Ask the kernel for SIGTERM when process `parent`, which started us, dies; nothing with None, or not on Linux."""
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we asked
        raise SystemExit(1)
