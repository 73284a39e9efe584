"""Directories of jobs: each is locked by its worker, so that a sweep can tell it from one whose worker died."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from worker.blobs.locking import sweep_each
from worker.runner import scratch

log = structlog.get_logger()


@contextmanager
def scratch_directory(root: Path, name: str) -> Iterator[Path]:
    """A new directory for one job, locked as long as its worker lives, and gone afterwards."""
    root.mkdir(parents=True, exist_ok=True)
    directory = root / f"job-{name}"
    lock = _make_locked(directory)
    try:
        yield directory
    finally:
        _remove(directory)
        os.close(lock)


def sweep_scratch(root: Path) -> int:
    """Delete the directories of workers that died; how many there were."""
    return sweep_each(root.glob("job-*"), _removed_if_abandoned)


def _make_locked(directory: Path) -> int:
    while True:  # until no sweep comes between the lines and takes it for abandoned
        directory.mkdir(mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if os.fstat(lock).st_nlink:
                    scratch.furnish(directory)
                    return lock
            except OSError:  # no room: the next sweep finds it
                os.close(lock)
                raise
            os.close(lock)


def _removed_if_abandoned(directory: Path) -> bool:
    try:
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return _remove(directory)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)


def _remove(directory: Path) -> bool:
    """Whether it went; if not, the next sweep tries again."""
    try:
        scratch.remove(directory)
    except OSError as error:
        log.warning("scratch directory not removed", directory=str(directory), reason=str(error))
        return False
    return True
