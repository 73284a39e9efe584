"""The port to a store of files, and what all stores share: hashing in flight, locations that are used once."""

import fcntl
import hashlib
import os
import re
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from worker.errors import BlobCorrupt
from worker.records.values import StoredBlob

CHUNK = 1 << 20
IDENTITY = "store-id"
"""Name of the file that says whose the store is; a location is never called that."""
ABANDONED_AFTER = timedelta(days=1)
"""After which a whole file is swept that no record knows, counted from the first sweep that found it so, however old
it was: time to notice that these records are a copy, or an older state, of those that know it. A file that a record
names is never swept, whatever its age."""


class Blobs(Protocol):
    """A store of files that never change. Locations are its own business, and never used twice."""

    def create(self) -> "Incoming":
        """Begin a file. Raises OSError (ENOSPC and others) as writing does."""

    def open(self, location: str) -> BinaryIO:
        """The file, for reading. Raises FileNotFoundError where it alone is missing, OSError for the whole store."""

    def delete(self, location: str) -> None:
        """Delete the file; nothing happens if it is not there."""

    def identity(self) -> str | None:
        """What `claim` wrote; None where nobody did. Raises OSError where the store does not answer."""

    def claim(self, identity: str) -> None:
        """Write down whose the store is. Raises OSError."""

    def sweep(self, is_known: Callable[[str], bool]) -> int:
        """Delete files that no record knows and no living process is still writing, whole ones not before an earlier
        sweep found them so, `ABANDONED_AFTER` ago; how many there were."""

    def sweep_spool(self) -> int:
        """Delete files that wait on this host for a store elsewhere, and whose process died; how many there were."""

    def free_bytes(self) -> int | None:
        """Space left; None where the store does not say."""

    def check(self) -> None:
        """Raise OSError, saying why, unless files can be written and read here."""


class Incoming(ABC):
    """A file on its way in: `write` all of it, `keep` it, record its location, leave the context.

    Until the context is left, no sweep takes the file for abandoned; left without `keep`, the file is gone. A process
    that is killed leaves a file that is not locked and not recorded, which a sweep deletes. `settle` (beside
    this) keeps and records, and knows what becomes of the file when that fails.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.size = 0
        self.settled = False
        """Whether it is decided already what becomes of the file: no later error deletes it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes: hashed and written once."""
        self._hash.update(data)
        self._append(data)
        self.size += len(data)

    @property
    def sha256(self) -> str:
        """Hash of what was written so far, as hexadecimal."""
        return self._hash.hexdigest()

    @abstractmethod
    def keep(self) -> StoredBlob:
        """Make the file durable. It still has to be recorded."""

    @abstractmethod
    def _append(self, data: bytes | bytearray | memoryview) -> None: ...

    @abstractmethod
    def discard(self) -> None:
        """Delete the file, because it was not wanted or its content was here already."""

    @abstractmethod
    def close(self) -> None:
        """End the claim on the file: it is recorded, or gone."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None and not self.settled:
                self.discard()
        finally:
            self.close()


class LockedFile:
    """A new file that this process is writing: locked, so that a sweep can tell it from one whose writer died."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        while True:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            if os.fstat(self._descriptor).st_nlink:
                break
            os.close(self._descriptor)  # a sweep came between the two lines and took it for abandoned

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """All of `data`, at the end."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def sync(self) -> None:
        """To the disk, the directory's entry included."""
        os.fsync(self._descriptor)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def remove(self) -> None:
        """Delete it."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def new_location() -> str:
    """A location nobody ever had: two hexadecimal digits of directory, then the rest."""
    name = uuid.uuid4().hex
    return f"{name[:2]}/{name[2:]}"


def is_location(name: str) -> bool:
    """Whether a file of this name may be one of ours. No sweep touches others: a store may hold more than blobs."""
    return _LOCATION.fullmatch(name) is not None


_LOCATION = re.compile("[0-9a-f]{2}/[0-9a-f]{30}")


def copy_checked(
    source: BinaryIO, blob: StoredBlob, destination: Path, go_on: Callable[[], object] = lambda: None
) -> None:
    """Write the blob's content to `destination`. Raises BlobCorrupt unless it is what was stored.

    `go_on` is called before each chunk, and raises where the rest is not wanted any more.
    """
    digest = hashlib.sha256()
    with destination.open("xb") as target:
        while chunk := _read(source, go_on):
            digest.update(chunk)
            target.write(chunk)
    if digest.hexdigest() != blob.sha256:
        raise BlobCorrupt(f"the stored file {blob.sha256} has another hash now; upload it again.")


def copy_in(source: BinaryIO, incoming: Incoming, go_on: Callable[[], object]) -> None:
    """All of `source` into `incoming`. `go_on`: as above."""
    while chunk := _read(source, go_on):
        incoming.write(chunk)


def _read(source: BinaryIO, go_on: Callable[[], object]) -> bytes:
    go_on()
    return source.read(CHUNK)
