"""Checkpoints that come in pieces: what has come of each waits here for the rest."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from worker.blobs.locking import locked, sweep_each
from worker.blobs.port import CHUNK

_DAY = 24 * 3600


class Unfinished(NamedTuple):
    """How many bytes of a file have come, and how many it is to have in the end; 0 before that was announced."""

    size: int
    length: int


class Partials:
    """Unfinished files, each of one owner and one announced hash, in a directory of this host.

    Another API host has a directory of its own: it knows of no byte that came here and of none that is announced, and a
    client that a proxy leads there begins again. Processes of one host share the directory: whoever writes a file has
    locked it. A file is named after its owner, its announced length and its hash.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def size(self, owner: str, sha256: str) -> int:
        """How many bytes of this file have come; 0 where none has."""
        path = self._find(owner, sha256)
        return 0 if path is None else _size(path)

    def unfinished(self, owner: str) -> dict[str, Unfinished]:
        """Every unfinished file of `owner`, by its hash."""
        paths = self.root.glob(f"{_prefix(owner)}*-*")
        return {path.name.rpartition("-")[2]: Unfinished(_size(path), _length(path)) for path in paths}

    @contextlib.contextmanager
    def alone(self, owner: str) -> Iterator[None]:
        """While inside, no other process of this host and no other thread is inside for the same owner.

        Who looks at `unfinished` here, and then announces a file, does it on what is so.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.root / f"{_prefix(owner)}lock"
        descriptor = _opened(path, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # who waits for it sees that it is gone, and makes another
            os.close(descriptor)

    def open(self, owner: str, sha256: str) -> "Partial":
        """The file, begun if nothing of it is here, for nobody else until it is closed. Raises BlockingIOError."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._find(owner, sha256) or self.root / f"{_prefix(owner)}0-{sha256}"
        return Partial(path, _opened(path, fcntl.LOCK_EX | fcntl.LOCK_NB))

    def remove(self, owner: str, sha256: str) -> bool:
        """Delete what has come of this file; whether there was any. Raises BlockingIOError while it is written."""
        with self.alone(owner):
            path = self._find(owner, sha256)
            if path is None:
                return False
            with contextlib.suppress(FileNotFoundError), locked(path) as descriptor:
                if os.fstat(descriptor).st_nlink:
                    path.unlink()
                    return True
            return False  # it was finished or swept meanwhile

    def sweep(self, days: float) -> int:
        """Delete files that got no byte for `days` and that nobody is writing; how many there were."""
        oldest = time.time() - days * _DAY
        return sweep_each(self.root.glob("*"), partial(_removed_if_older, oldest=oldest))

    def free_bytes(self) -> int:
        """Space left on the file system, for an ordinary user."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    def _find(self, owner: str, sha256: str) -> Path | None:
        return next(self.root.glob(f"{_prefix(owner)}*-{sha256}"), None)


class Partial:
    """One unfinished file, locked until its context is left. It stays, unless it is empty then, or was removed."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return os.fstat(self._descriptor).st_size

    @property
    def length(self) -> int:
        """Bytes that it is to have in the end, as announced; 0 before that."""
        return _length(self._path)

    def announce(self, length: int) -> None:
        """It is to have so many in the end."""
        prefix, _, sha256 = self._path.name.split("-")
        self._path = self._path.rename(self._path.with_name(f"{prefix}-{length}-{sha256}"))

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """All of `data`, at the end; where that fails, as much of it as there was room for."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def chunk(self, offset: int) -> bytes:
        """A MiB from `offset` on; less at the end, nothing behind it."""
        return os.pread(self._descriptor, CHUNK, offset)

    def remove(self) -> None:
        """Delete it: it was stored, or is not what it was announced as."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it."""
        try:
            if not self.size:
                self.remove()
        finally:
            os.close(self._descriptor)


def _prefix(owner: str) -> str:
    """Of the names of an owner's files: a team may be called anything, a file may not."""
    return hashlib.sha256(owner.encode()).hexdigest()[:32] + "-"


def _length(path: Path) -> int:
    return int(path.name.split("-")[1])


def _opened(path: Path, operation: int) -> int:
    """The file, made if there is none, and locked. Raises BlockingIOError where that would have to wait and may not."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, operation)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was removed between the two lines


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _removed_if_older(path: Path, oldest: float) -> bool:
    with contextlib.suppress(FileNotFoundError, BlockingIOError):
        if path.stat().st_mtime >= oldest:
            return False
        with locked(path) as descriptor:
            found = os.fstat(descriptor)  # asked under the lock: its writer may just have gone on, or been done with it
            if found.st_nlink and found.st_mtime < oldest:
                path.unlink()
                return True
    return False
