"""Files in a directory, on one host or on a file system the hosts share."""

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from worker.blobs.port import Incoming, LockedFile, is_location, new_location, remove_abandoned
from worker.records.values import StoredBlob


class DirectoryBlobs:
    """A file lies at its location from its first byte on; what makes it a blob is its record."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self) -> Incoming:
        """Begin a file."""
        return _IncomingFile(self.root, new_location())

    def open(self, location: str) -> BinaryIO:
        """The file, for reading."""
        return self._path(location).open("rb")

    def delete(self, location: str) -> None:
        """Delete the file."""
        self._path(location).unlink(missing_ok=True)

    def sweep(self, is_known: Callable[[str], bool]) -> int:
        """Delete files nobody recorded and nobody is writing."""
        locations = (f"{path.parent.name}/{path.name}" for path in self.root.glob("??/*"))
        return sum(
            remove_abandoned(self._path(location), partial(is_known, location))
            for location in filter(is_location, locations)
        )

    def free_bytes(self) -> int | None:
        """Space left on the file system, for an ordinary user."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    def check(self) -> None:
        """Write and delete a file."""
        with self.create() as incoming:
            incoming.write(b"check")
            incoming.keep()
            incoming.discard()

    def _path(self, location: str) -> Path:
        directory, name = location.split("/")
        assert not {directory, name} & {"", ".", ".."}, location
        return self.root / directory / name


class _IncomingFile(Incoming):
    def __init__(self, root: Path, location: str) -> None:
        super().__init__()
        self._location = location
        self._file = LockedFile(root / location)

    def _append(self, data: bytes | bytearray | memoryview) -> None:
        self._file.append(data)

    def keep(self) -> StoredBlob:
        self._file.sync()
        os.chmod(self._file.path, 0o440)
        return StoredBlob(self.sha256, self.size, self._location)

    def discard(self) -> None:
        self._file.remove()

    def close(self) -> None:
        self._file.close()
