"""The library in a warm process, the peer of the server's small jobs: the job is done once before it is measured.

    python -m tests.benchmarks.service.warm_library FILE SETTINGS

Does the job once more for each line it reads, and prints how many seconds that took.
"""

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class WarmLibrary:
    """Such a process, as a context."""

    def __init__(self, file: Path, settings: str) -> None:
        command = [sys.executable, "-m", __spec__.name, str(file), settings]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # the end of its input ends it

    def seconds(self) -> float:
        """Of the job, done once more."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())


def main(path: Path, settings_text: str) -> None:
    """Do the job whenever a line comes."""
    from micronet.contract import ScoreSettings
    from micronet.jobs import JOBS, Context, prepare_process

    prepare_process()
    settings = ScoreSettings.model_validate_json(settings_text)
    JOBS["score"].run(settings, path, Context())
    for _ in sys.stdin:
        started = time.perf_counter()
        JOBS["score"].run(settings, path, Context())
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
