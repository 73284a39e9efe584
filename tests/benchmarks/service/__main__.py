"""Every bound on the server's speed: `python -m tests.benchmarks.service [NAME...]`, all rows or those named.

Needs Linux, Redis, PostgreSQL and ../shared. Everything lies in a temporary directory: set TMPDIR to choose its disk.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.benchmarks.service.boards import boards
from tests.benchmarks.service.canceling import canceling
from tests.benchmarks.service.figures import HEADINGS, Figure
from tests.benchmarks.service.latency import latency
from tests.benchmarks.service.queueing import queueing
from tests.benchmarks.service.reading import reading
from tests.benchmarks.service.uploading import uploading

ROWS: Mapping[str, Callable[[Path], Iterator[Figure]]] = {
    "latency": latency,
    "reading": reading,
    "uploading": uploading,
    "queueing": queueing,
    "canceling": canceling,
    "boards": boards,
}


def main(names: list[str]) -> None:
    """Run what was named, print Markdown."""
    unknown = set(names) - set(ROWS)
    if unknown:
        raise SystemExit(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}.")
    print(f"{os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}\n")
    print(HEADINGS, flush=True)
    for name in names or ROWS:
        before = os.getloadavg()[0]
        with tempfile.TemporaryDirectory(prefix=f"micronet-{name}-") as made:
            os.chmod(made, 0o755)  # PostgreSQL runs as another user
            for figure in ROWS[name](Path(made)):
                print(figure.row(), flush=True)
        load = f"{before:.1f} before, {os.getloadavg()[0]:.1f} after"
        print(Figure(f"load of the machine in a minute, {name}", load).row(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
