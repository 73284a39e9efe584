"""Files in a directory, on one host or on a file system the hosts share."""

import errno
import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryFile
from typing import BinaryIO

import structlog

from worker.blobs.locking import own_mode, remove_abandoned, sweep_each
from worker.blobs.port import ABANDONED_AFTER, IDENTITY, Incoming, LockedFile, is_location, new_location
from worker.records.values import StoredBlob

log = structlog.get_logger()

_WHOLE = 0o440
"""Permissions of a file that is complete; while it is written, they are others."""
_UNKNOWN = 0o400
"""Of one that is complete, and that a sweep found no record to know: at its time of modification."""


class DirectoryBlobs:
    """A file lies at its location from its first byte on; what makes it a blob is its record.

    A directory that was there and is not any more, such as one that came unmounted, is a store that does not answer:
    nothing in it is lost, and nothing is written below the place where it was.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._is_claimed = False

    def create(self) -> Incoming:
        """Begin a file."""
        self._check_it_is_there()
        return _IncomingFile(self.root, new_location())

    def open(self, location: str) -> BinaryIO:
        """The file, for reading."""
        try:
            return self._path(location).open("rb")
        except FileNotFoundError:
            self._check_it_is_there()
            raise

    def identity(self) -> str | None:
        """As in the port."""
        try:
            identity = (self.root / IDENTITY).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            self._check_it_is_there()
            return None
        self._is_claimed = True
        return identity

    def claim(self, identity: str) -> None:
        """As in the port. Of several that claim at once the last is heard."""
        self.root.mkdir(parents=True, exist_ok=True)
        file = LockedFile(self.root / f".{IDENTITY}-{token_hex(8)}")
        try:
            file.append(f"{identity}\n".encode("ascii"))
            file.sync()
            os.replace(file.path, self.root / IDENTITY)
        finally:
            file.remove()
            file.close()

    def delete(self, location: str) -> None:
        """Delete the file."""
        self._path(location).unlink(missing_ok=True)

    def sweep(self, is_known: Callable[[str], bool]) -> int:
        """As in the port: a file whose writer died in the middle of it goes at once."""

        def stays(location: str) -> bool:
            try:
                return _stays(self._path(location), is_known(location))
            except FileNotFoundError:  # another sweep was faster
                return False

        def remove(location: str) -> bool:
            return remove_abandoned(self._path(location), partial(stays, location))

        locations = (f"{path.parent.name}/{path.name}" for path in self.root.glob("??/*"))
        return sweep_each(filter(is_location, locations), remove)

    def sweep_spool(self) -> int:
        """Nothing waits: files are where they stay from their first byte on."""
        return 0

    def free_bytes(self) -> int | None:
        """Space left on the file system, for an ordinary user."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    def _check_it_is_there(self) -> None:
        if self._is_claimed and not (self.root / IDENTITY).exists():
            raise OSError(errno.ENODEV, "the blob store is not there any more (is it mounted?)", str(self.root))

    def check(self) -> None:
        """Write a file without a name, and make no directory for it: who asks may be another user than the server's."""
        self._check_it_is_there()
        self.root.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=self.root, buffering=0) as file:
            file.write(b"check")
            os.fsync(file.fileno())

    def _path(self, location: str) -> Path:
        directory, name = location.split("/")
        assert not {directory, name} & {"", ".", ".."}, location
        return self.root / directory / name


def _stays(path: Path, is_known: bool) -> bool:
    """Whether a sweep leaves the file, and marks on it whether a record knows it."""
    mode = own_mode(path)
    if is_known:
        if mode == _UNKNOWN:
            _mark(path, _WHOLE)
        return True
    if mode == _WHOLE:
        _mark(path, _UNKNOWN)
        return True
    return mode == _UNKNOWN and time.time() - path.stat().st_mtime < ABANDONED_AFTER.total_seconds()


def _mark(path: Path, mode: int) -> None:
    try:
        os.utime(path)
        path.chmod(mode)
    except PermissionError as error:  # a worker of its owner will
        log.warning("file of another user not marked", file=str(path), reason=str(error))


class _IncomingFile(Incoming):
    def __init__(self, root: Path, location: str) -> None:
        super().__init__()
        self._location = location
        self._file = LockedFile(root / location)

    def _append(self, data: bytes | bytearray | memoryview) -> None:
        self._file.append(data)

    def keep(self) -> StoredBlob:
        self._file.sync()
        os.chmod(self._file.path, _WHOLE)
        return StoredBlob(self.sha256, self.size, self._location)

    def discard(self) -> None:
        self._file.remove()

    def close(self) -> None:
        self._file.close()
