"""What a worker has to run jobs on, found out without torch and without touching CUDA."""

import os
import shutil
import subprocess

import structlog

log = structlog.get_logger()

SILENT = " (does not answer)"
"""What a worker that describes itself puts behind a device that jobs could not use."""

_PATIENCE_SECONDS = 30.0


def devices(slots: int | None = None) -> tuple[str, ...]:
    """cuda:0, cuda:1 and so on for each visible GPU, else cpu. `slots`: so many on the CPU, at most so many GPUs."""
    gpus = tuple(f"cuda:{index}" for index in range(_visible_gpus()))
    return gpus[:slots] or ("cpu",) * (slots or 1)


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
    except subprocess.TimeoutExpired:
        log.warning("no GPU is used: nvidia-smi does not answer", seconds=_PATIENCE_SECONDS)
        return 0
    if answer.returncode != 0:
        log.warning("no GPU is used: nvidia-smi fails", reason=(answer.stdout + answer.stderr).strip())
        return 0
    return len(answer.stdout.split())
