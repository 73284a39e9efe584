"""How a job tells its stages and progress: the writing end of the message pipe."""

import os
import time
from threading import Lock

from worker.runner.messages import Progressed, Said, StageBegan, encode

_SECONDS_BETWEEN = 0.1


class Reporter:
    """Progress that goes to the supervisor: about ten times a second, and the last of each stage always."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._lock = descriptor, Lock()
        self._held_back: Progressed | None = None
        self._next = 0.0
        self.current: str | None = None
        """Name of the stage the job is in."""

    def stage(self, name: str, index: int, count: int) -> None:
        """A stage begins."""
        self.current = name
        self.send(StageBegan(name, index, count))

    def advance(self, done: int, total: int, unit: str) -> None:
        """Some of the stage is done."""
        progressed = Progressed(done, total, unit)
        with self._lock:
            now = time.monotonic()
            if now < self._next:
                self._held_back = progressed
                return
            self._next, self._held_back = now + _SECONDS_BETWEEN, None
            self._write(progressed)

    def send(self, message: Said) -> None:
        """Send `message`, after the progress that was held back."""
        with self._lock:
            if self._held_back is not None:
                self._write(self._held_back)
                self._held_back = None
            self._next = 0.0
            self._write(message)

    def _write(self, message: Said) -> None:
        line = encode(message)
        while line:
            line = line[os.write(self._descriptor, line) :]
