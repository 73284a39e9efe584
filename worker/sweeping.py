"""Sweeping: deletes files nothing needs, files of uploads that died, directories of jobs whose worker died."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from worker.belonging import hold_together
from worker.blobs import Blobs
from worker.partials import Partials
from worker.records import Records
from worker.runner import scratch
from worker.settings import Settings

log = structlog.get_logger()


def sweep(settings: Settings, records: Records, blobs: Blobs) -> None:
    """One sweep, part by part: what keeps one from its work leaves the others theirs. Raises the first error."""
    parts = (
        lambda: _sweep_blobs(settings, records, blobs),
        lambda: records.jobs.forget_keys(settings.key_days),
        lambda: _sweep_scratch(settings),
        lambda: sweep_uploads(settings, blobs),
    )
    errors = [error for part in parts if (error := _error_of(part)) is not None]
    if errors:
        raise errors[0]


def _error_of(part: Callable[[], object]) -> Exception | None:
    try:
        part()
    except Exception as error:  # whatever it is, it is told when the others are done
        return error
    return None


def _sweep_blobs(settings: Settings, records: Records, blobs: Blobs) -> None:
    """Rows go first, then files: a location is never used again, so nobody can have got it meanwhile."""
    hold_together(records, blobs)
    for blob in records.blobs.forget_unneeded(settings.blob_days, settings.blob_bytes):
        blobs.delete(blob.location)
        log.info("blob swept", sha256=blob.sha256, size=blob.size)
    for location in records.journal.forget_ended():
        blobs.delete(location)
    known = records.blobs.locations()  # at once: to ask for each file takes minutes
    abandoned = blobs.sweep(lambda location: location in known or records.blobs.is_known(location))
    if abandoned:
        log.info("abandoned files swept", files=abandoned)


def _sweep_scratch(settings: Settings) -> None:
    directories = sweep_scratch(settings.scratch)
    if directories:
        log.info("abandoned directories swept", directories=directories)


def sweep_uploads(settings: Settings, blobs: Blobs) -> None:
    """Of this very host, whose disk nobody else sees: files whose process died on their way to the store, and
    checkpoints whose next piece does not come."""
    spooled = blobs.sweep_spool()
    partials = Partials(settings.partials).sweep(settings.partial_days)
    if spooled or partials:
        log.info("abandoned uploads swept", spooled=spooled, partials=partials)


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
    return sum(_removed_if_abandoned(directory) for directory in root.glob("job-*"))


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
