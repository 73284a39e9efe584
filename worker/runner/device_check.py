"""Asking a process like a job's whether such processes can use a device: a worker has neither torch nor a GPU."""

import time
from collections.abc import Callable
from pathlib import Path

from worker.errors import DeviceUnavailable, RunnerUnavailable
from worker.limits import JobLimits
from worker.runner.client import Runner
from worker.runner.messages import Exited, Failed, JobRequest
from worker.runner.orders import DEVICE_CHECK
from worker.runner.running import Running

_LONGEST_SECONDS = 60.0  # of a machine with many GPUs, the driver may take a quarter of that
_LOOK_SECONDS = 0.2  # between looks at a wish to stop


def check_device(
    runner: Runner, device: str, scratch: Path, limits: JobLimits, interrupted: Callable[[], bool] = lambda: False
) -> None:
    """Have a process of `runner` compute something small on the device, confined as jobs are.

    `scratch` is a furnished directory, as for a job. Raises DeviceUnavailable unless it did; RunnerUnavailable and
    OSError where there is no process that could.
    """
    running = runner.run(JobRequest(DEVICE_CHECK, "", device), scratch, limits, interrupted)
    try:
        _hear(running, device, interrupted)
    finally:
        running.kill()


def _hear(running: Running, device: str, interrupted: Callable[[], bool]) -> None:
    why = ""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < deadline and not interrupted():
        for message in running.messages(_LOOK_SECONDS):
            match message:
                case Failed(error):
                    why = error.detail
                case Exited(status):
                    if not message.clean:
                        raise DeviceUnavailable(
                            why or f"device {device!r}: the process that used it ended with {status}"
                        )
                    return
    if interrupted():
        raise RunnerUnavailable("the device may not be waited for any more")
    raise DeviceUnavailable(f"device {device!r}: no answer within {_LONGEST_SECONDS:g} seconds")
