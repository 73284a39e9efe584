"""The environment of the spare and so of every job: named variables, and nothing that could be a secret."""

import os
from collections.abc import Mapping

_PASSED = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES",
)  # fmt: skip
_PASSED_PREFIXES = ("OMP_", "MKL_")


def scrubbed(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a runner gets of `environment`.

    OpenBLAS, which nothing in a job's inner loops uses, is kept from starting threads when numpy is imported: a process
    that forks has one thread.
    """
    passed = {
        name: value for name, value in environment.items() if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    }
    return {**passed, "OPENBLAS_NUM_THREADS": "1", "LOGNAME": "micronet"}


def enter_scratch(directory: str) -> None:
    """Home and place for temporary files of a job, from here on."""
    os.environ.update(HOME=directory, TMPDIR=directory)
    os.chdir(directory)
