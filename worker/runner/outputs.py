"""A job's result and the files it made, read as if an enemy had written them. Its process must be gone."""

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from worker.errors import OutputRefused
from worker.runner.orders import RESULT
from worker.runner.results import MAX_RESULT_BYTES, checked

MAX_ARTIFACTS = 65
"""Those of the longest pipeline: one of each stage, and the file it began with."""
MAX_ENTRIES = 10_000
NO_FILE = frozenset({errno.ELOOP, errno.ENOENT, errno.EACCES, errno.ENXIO, errno.ENOTDIR})
"""What the system says when a job left something else than a file that can be opened. All else is not its doing: no
descriptor is left, memory is short, the disk fails."""

_OUT, _RESULT_NAME = RESULT.split("/")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def collect(scratch: Path, kind: str, limit: int) -> tuple[str, list[Path]]:
    """The result, checked, as JSON, and the artifacts, sorted: files in `scratch/out`. `limit`: bytes of all artifacts.

    Raises OutputRefused, and OSError where it is not the job that keeps them from being read.
    """
    with _opened(scratch / _OUT, os.O_RDONLY | os.O_DIRECTORY, None) as directory:
        names = _names(directory)
        if _RESULT_NAME not in names:
            raise OutputRefused("there is no result")
        names.remove(_RESULT_NAME)
        _check_artifacts(directory, names, limit)
        result = checked(_read(directory, _RESULT_NAME), kind)
    return result, [scratch / _OUT / name for name in names]


def collect_finished(scratch: Path, limit: int) -> list[Path]:
    """The artifacts, sorted, that a job had finished before it failed or was canceled.

    What begins with a dot is not finished. `limit`, and what is raised: as above.
    """
    with _opened(scratch / _OUT, os.O_RDONLY | os.O_DIRECTORY, None) as directory:
        names = [name for name in _names(directory) if name != _RESULT_NAME and not name.startswith(".")]
        _check_artifacts(directory, names, limit)
    return [scratch / _OUT / name for name in names]


def bytes_below(directory: Path) -> int | None:
    """Disk space of all files below `directory`; None where they are too many, or hidden too well, to be counted."""
    seen = total = 0
    waiting = [directory]
    while waiting:
        try:
            for entry in os.scandir(waiting.pop()):
                seen += 1
                if seen > MAX_ENTRIES:
                    return None
                total += entry.stat(follow_symlinks=False).st_blocks * 512
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
        except FileNotFoundError:  # the job removed it meanwhile
            continue
        except OSError:  # nested so deep that it has no path, or closed to its own owner
            return None
    return total


def _read(directory: int, name: str) -> bytes:
    with _opened(name, os.O_RDONLY, directory) as descriptor:
        size = _size_of_regular(descriptor, name)
        if size > MAX_RESULT_BYTES:
            raise OutputRefused(f"a result of {size} bytes is over {MAX_RESULT_BYTES}")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(MAX_RESULT_BYTES)


def _names(directory: int) -> list[str]:
    return sorted(entry.name for entry in islice(os.scandir(directory), MAX_ENTRIES))


def _check_artifacts(directory: int, names: Sequence[str], limit: int) -> None:
    """Their sizes are what they are read as: holes, which take no space in `scratch`, count."""
    if len(names) > MAX_ARTIFACTS:
        raise OutputRefused(f"{len(names)} artifacts are more than {MAX_ARTIFACTS}")
    if (size := sum(_check_artifact(directory, name) for name in names)) > limit:
        raise OutputRefused(f"artifacts of {size:,} bytes are over {limit:,}")


def _check_artifact(directory: int, name: str) -> int:
    """Its size, if it is one."""
    if not _NAME.fullmatch(name):
        raise OutputRefused(f"an artifact cannot be called {name[:50]!r}")
    with _opened(name, os.O_RDONLY, directory) as descriptor:
        return _size_of_regular(descriptor, name)


@contextmanager
def _opened(path: Path | str, flags: int, directory: int | None) -> Iterator[int]:
    """Open without following a link at the end, and without waiting for what is no file."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        raise OutputRefused(f"{str(path)[-60:]!r} cannot be opened: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _size_of_regular(descriptor: int, name: str) -> int:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
        raise OutputRefused(f"{name!r} is no file of its own")
    return facts.st_size
