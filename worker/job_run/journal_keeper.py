"""Keeping what a long job writes down: each new entry goes from its scratch directory into the store, by a thread.

The directory is the job's, so it is read as if an enemy had written it.
"""

import os
import re
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

import structlog

from worker.blobs import Blobs
from worker.blobs.port import CHUNK
from worker.blobs.settling import settle
from worker.errors import JournalRefused, ServiceError, Unavailable
from worker.job_run.threads import start
from worker.records import Records
from worker.records.values import Job, JournalEntry, StoredBlob, Written
from worker.runner.outputs import NO_FILE

log = structlog.get_logger()

MAX_ENTRIES = 4096
"""More than any one stage writes down with as many rounds as the contract accepts. Bytes have a limit of their own."""
_LOOK_SECONDS = 1.0
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _Stamp:
    """A file that is replaced has another."""

    inode: int
    changed_ns: int
    size: int


class JournalKeeper:
    """Stores the entries of one job while it runs: about once a second those that are new, of each the newest.

    Leaving the context waits for nothing: what is stored too late is refused by the records, and deleted.
    """

    def __init__(self, records: Records, blobs: Blobs, job: Job, directory: Path, limit: int) -> None:
        self._records, self._blobs, self._job = records, blobs, job
        self._directory, self._limit = directory, limit
        self._stored: dict[str, _Stamp] = {}
        self._wishes: SimpleQueue[threading.Event] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._keep_on, name=f"journal-{job.id[:8]}", daemon=True)
        self.refused: JournalRefused | None = None
        """Why the job may not go on."""

    def __enter__(self) -> Self:
        """Begin; what lies in the directory by now came from the store.

        Raises JournalRefused, RunnerUnavailable, OSError.
        """
        self._stored = dict(_stamps(self._directory, self._limit))
        start(self._thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._wishes.put(threading.Event())

    def settle(self, seconds: float) -> bool:
        """Store what is there now; false if that takes longer."""
        done = threading.Event()
        self._wishes.put(done)
        return done.wait(seconds)

    def _keep_on(self) -> None:
        waiting: list[threading.Event] = []
        while not self._closed:
            with suppress(Empty):
                waiting.append(self._wishes.get(timeout=_LOOK_SECONDS))
            if not self._closed and self._stored_all():
                for wish in waiting:
                    wish.set()
                waiting.clear()

    def _stored_all(self) -> bool:
        """Whether every entry is in the store, or never will be."""
        try:
            for name, stamp in _stamps(self._directory, self._limit).items():
                if self._closed:
                    return False
                if self._stored.get(name) != stamp:
                    self._store(name)
        except JournalRefused as refused:
            self.refused = refused
        except (ServiceError, OSError) as error:  # it is tried again, with what is there then
            log.warning("journal not stored yet", job=self._job.id, reason=str(error))
            return False
        except Exception:
            log.exception("journal not stored", job=self._job.id)
            return False
        return True

    def _store(self, name: str) -> None:
        """Keep one entry, as it is when it is opened: the job replaces its files, and never changes them."""
        with _directory(self._directory) as directory:
            descriptor = _opened(directory, name)
        if descriptor is None:
            return
        with os.fdopen(descriptor, "rb") as source:
            stamp = _stamp(descriptor)
            with self._blobs.create() as incoming:
                while incoming.size < stamp.size and (chunk := source.read(min(CHUNK, stamp.size - incoming.size))):
                    incoming.write(chunk)
                replace = partial(self._records.journal.replace, self._job, name)
                written = settle(incoming, self._blobs, partial(self._record, name), replace)
        self._stored[name] = stamp
        if written.former is not None:
            self._blobs.delete(written.former)

    def _record(self, name: str, blob: StoredBlob) -> tuple[Written, str | None]:
        """Record a stored entry. While the database is away it is this one copy that waits for it."""
        while True:
            try:
                written = self._records.journal.write(self._job, JournalEntry(name, blob))
            except Unavailable as error:
                log.warning("journal not recorded yet", job=self._job.id, reason=str(error))
                if self._closed:
                    raise
            else:
                return written, written.location
            time.sleep(_LOOK_SECONDS)


def _stamps(path: Path, limit: int) -> Mapping[str, _Stamp]:
    """The entries of a journal. Raises JournalRefused, OSError. What begins with a dot is not finished."""
    stamps = {}
    with _directory(path) as directory:
        names = [entry.name for entry in islice(os.scandir(directory), 2 * MAX_ENTRIES + 1)]
        entries = [name for name in names if not name.startswith(".")]
        if len(entries) > MAX_ENTRIES or len(names) > 2 * MAX_ENTRIES:
            raise JournalRefused(f"a journal has at most {MAX_ENTRIES} entries.")
        for name in entries:
            if not _NAME.fullmatch(name):
                raise JournalRefused(f"an entry cannot be called {name[:50]!r}.")
            if (descriptor := _opened(directory, name)) is not None:
                try:
                    stamps[name] = _stamp(descriptor)
                finally:
                    os.close(descriptor)
    if (size := sum(stamp.size for stamp in stamps.values())) > limit:
        raise JournalRefused(f"the job has written down {size:,} bytes, and {limit:,} are kept.")
    return stamps


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, _FLAGS | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(directory: int, name: str) -> int | None:
    """The file, which must be one of its own; None where it was just replaced. Raises JournalRefused, OSError."""
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        raise JournalRefused(f"{name!r} cannot be opened: {error.strerror}.") from error
    facts = os.fstat(descriptor)
    if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1:
        return descriptor
    os.close(descriptor)
    if stat.S_ISREG(facts.st_mode) and facts.st_nlink == 0:
        return None
    raise JournalRefused(f"{name!r} is no file of its own.")


def _stamp(descriptor: int) -> _Stamp:
    facts = os.fstat(descriptor)
    return _Stamp(facts.st_ino, facts.st_mtime_ns, facts.st_size)
