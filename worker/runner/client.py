"""The supervisor's side of job processes: starts the warm spare, watches it, and replaces one that died."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from threading import RLock
from typing import Any

from worker.errors import RunnerUnavailable
from worker.limits import JobLimits
from worker.runner.environment import scrubbed
from worker.runner.messages import JobRequest
from worker.runner.orders import SETTINGS, Order, channel, receive, send
from worker.runner.processes import end_group
from worker.runner.running import Running, Wires
from worker.sandbox import Isolation

SPARE = "worker.runner"
"""Module a spare is started as."""

_SECONDS_TO_START = 120.0
_SECONDS_TO_FORK = 10.0
_SECONDS_BETWEEN_LOOKS = 0.02
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0


@dataclass(slots=True)
class _Spare:
    process: "subprocess.Popen[bytes]"
    end: socket
    ready: bool = False
    running: Running | None = None


class Runner:
    """One warm spare, which runs one job at a time. Safe to use from several threads.

    data_dir   directory of data sets
    log        hears of starts and deaths: `log(event, **values)`, as structlog's loggers take it
    """

    def __init__(self, data_dir: Path | None, log: Callable[..., object] = lambda event, **_: None) -> None:
        self._data_dir = None if data_dir is None else data_dir.absolute()
        self._environment = scrubbed(os.environ)
        self._log, self._lock = log, RLock()
        self._spare: _Spare | None = None
        self._isolation: Isolation | None = None
        self._serving = False
        self._failures, self._next_start = 0, 0.0

    def start(self) -> None:
        """Start a spare, and others after it until `close`. Returns at once; being warm takes it seconds."""
        with self._lock:
            self._serving = True
            self._look()

    @property
    def ready(self) -> bool:
        """Whether a job would start at once: the spare is warm and runs none. Asking replaces one that has died."""
        with self._lock:
            self._look()
            return self._spare is not None and self._spare.ready and self._spare.running is None

    @property
    def isolation(self) -> Isolation | None:
        """Which walls jobs are held by; None until the first spare was ready. Asking replaces one that has died."""
        with self._lock:
            self._look()
            return self._isolation

    def run(
        self, request: JobRequest, scratch: Path, limits: JobLimits, interrupted: Callable[[], bool] = lambda: False
    ) -> Running:
        """Start the job in `scratch`, which has `in/checkpoint`, `out` and `tmp`; waits for a spare to be warm.

        `interrupted` is asked meanwhile: once it says so, nothing is started. Raises RunnerUnavailable; OSError where
        there is no room in `scratch`; RuntimeError if a job runs already.
        """
        scratch = scratch.absolute()
        (scratch / SETTINGS).write_text(request.settings)
        order = Order(request.kind, request.device, request.nice, scratch, self._data_dir, limits)
        deadline = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < deadline:
            with self._lock:
                if not self._serving:
                    raise RunnerUnavailable("the runner is closed")
                if interrupted():
                    raise RunnerUnavailable("the job may not start any more")
                if self.ready:
                    assert self._spare is not None
                    return self._give(self._spare, order)
                if self._spare is not None and (running := self._spare.running) is not None:
                    if not running.killed:
                        raise RuntimeError("a runner runs one job at a time")
                    running.kill()  # nobody else listens for its end any more
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        raise RunnerUnavailable(f"no spare was warm within {_SECONDS_TO_START:g} seconds")

    def close(self) -> None:
        """Kill the spare and with it its job, and start no other."""
        with self._lock:
            self._serving = False
            spare, self._spare = self._spare, None
        if spare is None:
            return
        spare.process.kill()
        spare.process.wait()
        if spare.running is None:
            spare.end.close()  # else its listener hears the end there
        elif not spare.running.exited:
            end_group(spare.running.pid)

    def _look(self) -> None:
        """Take in what the spare said outside of a job; replace it if it has died."""
        spare = self._spare
        if spare is not None and spare.running is not None and spare.running.exited:
            spare.running = None
        if spare is not None and spare.running is None:
            try:
                received = _at_once(spare.end)
            except BlockingIOError:
                return
            if received is None:
                self._bury(spare)
            else:
                self._welcome(spare, received["ready"])
        if self._spare is None and self._serving and time.monotonic() >= self._next_start:
            try:
                self._spare = self._launch()
            except OSError as error:  # no room for another process
                self._log("runner not started", reason=str(error), next_start_in=self._put_off())

    def _launch(self) -> _Spare:
        ours, theirs = channel()
        with theirs, ExitStack() as undo:
            undo.callback(ours.close)
            command = [sys.executable, "-P", "-u", "-m", SPARE, str(theirs.fileno())]
            process = subprocess.Popen(
                command,
                env=self._environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
            undo.pop_all()
        self._log("runner started", pid=process.pid)
        return _Spare(process, ours)

    def _welcome(self, spare: _Spare, facts: Mapping[str, Any]) -> None:
        spare.ready, self._failures = True, 0
        self._isolation = Isolation(**facts["isolation"])
        self._log("runner ready", pid=spare.process.pid, **facts["isolation"])
        if facts["threads"] != 1:
            self._log("runner forks with several threads: jobs may hang", threads=facts["threads"])

    def _bury(self, spare: _Spare) -> None:
        """One that dies before it was ever ready will likely do so again: then with growing pauses."""
        spare.end.close()
        spare.process.kill()
        status = spare.process.wait()
        self._spare = None
        pause = 0.0 if spare.ready else self._put_off()
        self._log("runner died", pid=spare.process.pid, status=status, next_start_in=pause)

    def _put_off(self) -> float:
        """Start the next spare after a pause, longer each time; how many seconds."""
        pause = min(_SHORTEST_PAUSE * 2.0 ** min(self._failures, 10), _LONGEST_PAUSE)
        self._failures += 1
        self._next_start = time.monotonic() + pause
        return pause

    def _give(self, spare: _Spare, order: Order) -> Running:
        with ExitStack() as undo:
            read_messages, write_messages = os.pipe()
            undo.callback(os.close, read_messages)
            read_log, write_log = os.pipe()
            undo.callback(os.close, read_log)
            try:
                pid = _started(spare.end, order, (write_messages, write_log))
            except OSError as error:
                spare.process.kill()  # and `_look` will find it so
                raise RunnerUnavailable(f"the spare did not take the job: {error}") from error
            finally:
                os.close(write_messages)
                os.close(write_log)
            undo.pop_all()
        for pipe in (read_messages, read_log):
            os.set_blocking(pipe, False)
        wires = Wires(spare.process, spare.end, read_messages, read_log)
        spare.running = Running(wires, pid, order.scratch, order.limits)
        return spare.running


def _at_once(end: socket) -> Mapping[str, Any] | None:
    """The next packet; None when the other end is gone. Raises BlockingIOError when there is none yet."""
    end.setblocking(False)
    try:
        received = receive(end)
    finally:
        end.setblocking(True)
    return None if received is None else received[0]


def _started(end: socket, order: Order, descriptors: tuple[int, ...]) -> int:
    """Give the order; the child's process id. Raises OSError."""
    end.settimeout(_SECONDS_TO_FORK)
    try:
        send(end, {"order": order.encode()}, descriptors)
        received = receive(end)
    finally:
        end.settimeout(None)
    if received is None:
        raise BrokenPipeError("it is gone")
    return int(received[0]["started"])
