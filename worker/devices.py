"""What a worker has to run jobs on, found out without torch and without touching CUDA."""

import os
import shutil
import subprocess


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
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return len(answer.stdout.split()) if answer.returncode == 0 else 0
