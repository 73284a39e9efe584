"""Files in memory: the twin of the real stores, for tests."""

import io
from collections.abc import Callable
from typing import BinaryIO

from worker.blobs.port import Incoming, new_location
from worker.records.values import StoredBlob


class MemoryBlobs:
    """A dictionary of files. `files` is what is kept, `open_files` what is on its way in."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.open_files: set[str] = set()
        self._identity: str | None = None

    def create(self) -> Incoming:
        """Begin a file."""
        return _IncomingBytes(self)

    def open(self, location: str) -> BinaryIO:
        """The file, for reading."""
        if location not in self.files:
            raise FileNotFoundError(location)
        return io.BytesIO(self.files[location])

    def delete(self, location: str) -> None:
        """Delete the file."""
        self.files.pop(location, None)

    def identity(self) -> str | None:
        """What was claimed."""
        return self._identity

    def claim(self, identity: str) -> None:
        """Whose it is."""
        self._identity = identity

    def sweep(self, is_known: Callable[[str], bool]) -> int:
        """Delete files nobody recorded and nobody is writing; here they have no age."""
        abandoned = [name for name in self.files if name not in self.open_files and not is_known(name)]
        for name in abandoned:
            del self.files[name]
        return len(abandoned)

    def sweep_spool(self) -> int:
        """Nothing waits."""
        return 0

    def free_bytes(self) -> int | None:
        """Nobody knows."""
        return None

    def check(self) -> None:
        """Memory can always be written."""


class _IncomingBytes(Incoming):
    def __init__(self, store: MemoryBlobs) -> None:
        super().__init__()
        self._store, self._location, self._data = store, new_location(), bytearray()
        store.open_files.add(self._location)

    def _append(self, data: bytes | bytearray | memoryview) -> None:
        self._data += data

    def keep(self) -> StoredBlob:
        self._store.files[self._location] = bytes(self._data)
        return StoredBlob(self.sha256, self.size, self._location)

    def discard(self) -> None:
        self._store.files.pop(self._location, None)

    def close(self) -> None:
        self._store.open_files.discard(self._location)
