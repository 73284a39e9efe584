"""The directory of one job: `in` to read, `out` for results, `journal` to go on from, `tmp` for whatever it likes."""

import os
from itertools import count
from pathlib import Path


def make(scratch: Path) -> None:
    """Make an empty scratch directory, readable by this user only. Raises FileExistsError."""
    scratch.mkdir(mode=0o700, parents=True)
    furnish(scratch)


def furnish(scratch: Path) -> None:
    """Make what a job expects in its empty directory."""
    for name in ("in", "out", "tmp", "journal"):
        (scratch / name).mkdir(mode=0o700)


def remove(scratch: Path) -> None:
    """Remove it, whatever a job made of it: links are not followed, and nesting may be deeper than any path is long.

    A directory below is first moved up, so that nothing is ever more than two levels away.
    """
    if not scratch.exists():
        return
    numbers = count()
    waiting = [scratch]
    while waiting:
        directory = waiting[-1]
        deeper = []
        for entry in list(os.scandir(directory)):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
                continue
            os.chmod(entry.path, 0o700)  # a job may have closed it to its own user
            path = Path(entry.path)
            deeper.append(path if directory == scratch else path.rename(_free_name(scratch, numbers)))
        waiting += deeper
        if not deeper:
            os.rmdir(waiting.pop())


def _free_name(scratch: Path, numbers: "count[int]") -> Path:
    return next(path for path in (scratch / f".removed-{number}" for number in numbers) if not os.path.lexists(path))
