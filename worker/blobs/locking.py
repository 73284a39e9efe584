"""Locks by which a sweep tells a file that is being written from one whose writer died."""

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import structlog

T = TypeVar("T")
_OPENING = stat.S_IWUSR | stat.S_IXUSR
"""Added to the permissions of a whole file for the moment of opening it; one that is being written is no program."""

log = structlog.get_logger()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """The file's descriptor, while nobody else has it locked. Raises BlockingIOError where somebody has, OSError."""
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    finally:
        os.close(descriptor)


def remove_abandoned(path: Path, is_known: Callable[[], bool]) -> bool:
    """Delete the file unless it is known or a living process is writing it; whether it was deleted. Raises OSError."""
    if is_known():
        return False
    try:
        with locked(path):
            if is_known():  # asked again under the lock: its writer recorded it before letting go
                return False
            path.unlink(missing_ok=True)
    except (FileNotFoundError, BlockingIOError):
        return False
    return True


def sweep_each(files: Iterable[T], remove: Callable[[T], bool]) -> int:
    """How many of the files `remove` has deleted. Where it fails at one, with an OSError, it goes on with the others:
    the next sweep tries that one again."""
    swept = failed = 0
    first: OSError | None = None
    for file in files:
        try:
            swept += remove(file)
        except OSError as error:
            first, failed = first or error, failed + 1
    if first is not None:
        log.warning("files not swept", files=failed, reason=str(first))
    return swept


def _opened(path: Path) -> int:
    """For reading and writing: over NFS nobody locks a file for himself that he has not open so (flock(2)). One of
    another user is only read: where it lies on this host, it is locked all the same."""
    with contextlib.suppress(PermissionError):
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    with contextlib.suppress(PermissionError):
        return _opened_though_whole(path)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _opened_though_whole(path: Path) -> int:
    """A file of this user's that nobody may write any more."""
    mode = own_mode(path)
    path.chmod(mode | _OPENING)
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    finally:
        path.chmod(mode)


def own_mode(path: Path) -> int:
    """The file's permissions, also while a sweep opens it, or has died of it: others would take a whole file for one
    that is being written."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return mode & ~_OPENING if mode & _OPENING == _OPENING else mode
