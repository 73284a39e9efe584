"""What a worker has to run jobs on, found out without torch and without touching CUDA."""

import os
import shutil
import subprocess

import structlog

log = structlog.get_logger()

SILENT = " (does not answer)"
"""What a worker that describes itself puts behind a device that jobs could not use."""

_PATIENCE_SECONDS = 30.0


class NoDriver(Exception):
    """There is a driver for GPUs, and it does not say which there are; the message says why."""


def devices(slots: int | None = None) -> tuple[str, ...]:
    """cuda:0, cuda:1 and so on for each visible GPU, else cpu. `slots`: so many on the CPU, at most so many GPUs.

    A driver that fails is logged, and jobs run on the CPU.
    """
    try:
        return devices_found(slots)
    except NoDriver as error:
        log.warning("no GPU is used", reason=str(error))
        return _on_cpu(slots)


def devices_found(slots: int | None = None) -> tuple[str, ...]:
    """As `devices`. Raises NoDriver where the driver fails."""
    gpus = tuple(f"cuda:{index}" for index in range(_visible_gpus()))
    return gpus[:slots] or _on_cpu(slots)


def _on_cpu(slots: int | None) -> tuple[str, ...]:
    return ("cpu",) * (slots or 1)


def _visible_gpus() -> int:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return sum(gpu.strip() not in ("", "-1", "NoDevFiles") for gpu in chosen.split(","))
    program = shutil.which("nvidia-smi")
    if program is None:
        return 0
    command = [program, "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise NoDriver(f"nvidia-smi does not answer within {_PATIENCE_SECONDS:g} seconds") from error
    except OSError as error:
        raise NoDriver(f"nvidia-smi cannot be run: {error}") from error
    if answer.returncode != 0:
        raise NoDriver(f"nvidia-smi fails: {(answer.stdout + answer.stderr).strip()}")
    return len(answer.stdout.split())
