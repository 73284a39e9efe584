"""Sweeping: deletes files nothing needs, files of uploads that died, directories of jobs whose worker died."""

from collections.abc import Callable

import structlog

from worker.belonging import hold_together
from worker.blobs import Blobs
from worker.partials import Partials
from worker.records import Records
from worker.scratch_directories import sweep_scratch
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
