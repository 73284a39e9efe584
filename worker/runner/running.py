"""The process of a running job, as the supervisor sees it: what it says, which limits it is over, its end."""

import contextlib
import os
import select
import subprocess
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from worker.limits import JobLimits
from worker.runner import exits
from worker.runner.failures import out_of_memory, thread_limit
from worker.runner.lines import Lines
from worker.runner.messages import Exited, JobError, Message
from worker.runner.orders import receive, send
from worker.runner.outputs import bytes_below
from worker.runner.processes import end_group, nameless_bytes, resident_bytes, threads
from worker.sandbox.rlimits import LAST_WORDS_BYTES

_LOG_BYTES = 256 * 1024
_CHUNK = 64 * 1024
_MOST_CHUNKS_LEFT = 32
_SECONDS_FOR_SPARE, _SECONDS_FOR_KERNEL = 1.0, 0.8


@dataclass(frozen=True, slots=True)
class Wires:
    """What a job is heard by: its spare and the socket to it, and the reading ends of what it says and prints."""

    spare: "subprocess.Popen[bytes]"
    end: socket
    messages: int
    log: int


class Running:
    """One job's process. For one thread at a time."""

    def __init__(self, wires: Wires, pid: int, scratch: Path, limits: JobLimits) -> None:
        self.pid = pid
        """Also the number of its process group."""
        self._spare, self._end, self._scratch, self._limits = wires.spare, wires.end, scratch, limits
        self._log_pipe = wires.log
        self._open = {wires.messages, wires.log}
        self._lines, self._log = Lines(), bytearray()
        self._waiting: deque[Message] = deque()
        self._started = time.monotonic()
        self._exited = False
        self.killed = False
        """Whether it was to be killed; it may take the kernel longer than `kill` waits."""

    @property
    def exited(self) -> bool:
        """Whether its process is gone, and `messages` has told so or will."""
        return self._exited

    @property
    def stage(self) -> str | None:
        """Name of the stage it was last in."""
        return self._lines.stage

    def messages(self, timeout: float) -> list[Message]:
        """What it said since the last call, in order; waits up to `timeout` seconds for something. Exited is the last.

        Of progress only the newest is told. What is no message becomes Failed, and the process is killed.
        """
        deadline = time.monotonic() + timeout
        while not self._waiting and not self._exited:
            left = deadline - time.monotonic()
            self._listen(max(left, 0.0))
            if left <= 0:
                break
        told = list(self._waiting)
        self._waiting.clear()
        return told

    def over_limit(self) -> JobError | None:
        """Which limit of those the kernel does not watch the job is over, or none. Call it every second or so."""
        if time.monotonic() - self._started > self._limits.wall_seconds:
            return exits.wall_time_limit(self._limits, self.stage)
        if self.resident_bytes() > self._limits.memory_bytes + LAST_WORDS_BYTES:
            return out_of_memory(self.stage, self._limits)
        if not self._exited and threads(self.pid) > self._limits.processes:
            return thread_limit(self.stage, self._limits)
        used = [*(bytes_below(self._scratch / name) for name in ("out", "tmp", "journal")), self._nameless_bytes()]
        if None in used or sum(filter(None, used)) > self._limits.scratch_bytes:
            return exits.scratch_limit(self._limits, self.stage)
        return None

    def resident_bytes(self) -> int:
        """Memory its process group has resident: private and shared, without pages of files."""
        return 0 if self._exited else resident_bytes(self.pid)

    def log_tail(self, size: int) -> bytes:
        """The last `size` bytes, of at most 256 KiB, that it printed."""
        return bytes(self._log[max(0, len(self._log) - size) :])

    def kill(self) -> bool:
        """Kill its process group and wait until it is gone: True, within 2 seconds; False if the kernel keeps it.

        What it said before is still told by `messages`, and Exited.
        """
        self.killed = True
        if not self._exited:
            with contextlib.suppress(OSError):  # the spare is gone, and its end says so
                send(self._end, {"kill": True})
            self._wait_for_exit(_SECONDS_FOR_SPARE)
        if not self._exited:  # the spare does not answer; it takes the child with it
            self._spare.kill()
            self._wait_for_exit(_SECONDS_FOR_KERNEL)
        return self._exited

    def _nameless_bytes(self) -> int | None:
        return 0 if self._exited else nameless_bytes(self.pid, self._scratch, self._limits.file_bytes)

    def _wait_for_exit(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._exited and (left := deadline - time.monotonic()) > 0:
            self._listen(left)

    def _listen(self, timeout: float) -> None:
        """Take in what there is; wait for it up to `timeout` seconds."""
        poll = select.poll()
        for descriptor in (*self._open, self._end.fileno()):
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(timeout * 1000)}
        for descriptor in ready & self._open:
            self._read(descriptor)
        if self._end.fileno() in ready:
            self._hear_of_end()

    def _read(self, descriptor: int) -> bool:
        """Take in some of a pipe; False when it is closed or holds nothing."""
        if descriptor not in self._open:
            return False
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._close(descriptor)
        elif descriptor == self._log_pipe:
            self._log += data
            del self._log[:-_LOG_BYTES]
        else:
            self._waiting.extend(self._lines.feed(data))
            if self._lines.broken:
                self._close(descriptor)
                with contextlib.suppress(OSError):
                    send(self._end, {"kill": True})
        return bool(data)

    def _hear_of_end(self) -> None:
        received = receive(self._end)
        if received is None:
            self._spare.kill()
            self._spare.wait()
            end_group(self.pid)  # the kernel kills the child; whatever that one started goes too
            exited = Exited(None)
        else:
            exited = Exited(received[0]["exited"], received[0]["max_rss"])
        for descriptor in tuple(self._open):
            self._drain(descriptor)
        self._waiting.append(exited)
        self._exited = True

    def _drain(self, descriptor: int) -> None:
        """Take in what is left of a pipe nobody writes to any more; a little at most, should somebody do so."""
        for _ in range(_MOST_CHUNKS_LEFT):
            if not self._read(descriptor):
                break
        if descriptor in self._open:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self._open.discard(descriptor)
        os.close(descriptor)
