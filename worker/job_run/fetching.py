"""What a job needs before it starts, from the store into its scratch directory."""

from collections.abc import Callable
from pathlib import Path

import structlog

from worker.blobs import Blobs
from worker.blobs.port import copy_checked
from worker.errors import BlobCorrupt, BlobGone
from worker.records import Records
from worker.records.values import Job
from worker.runner.orders import CHECKPOINT, FILES, JOURNAL
from worker.settings import LONG

log = structlog.get_logger()


GoOn = Callable[[], object]


def fetch(records: Records, blobs: Blobs, job: Job, scratch: Path, go_on: GoOn = lambda: None) -> None:
    """Its checkpoint, the files its settings name, and how far it was when it ran last.

    `go_on` is called again and again meanwhile, and raises where the job may not. Raises BlobGone, BlobCorrupt,
    Unavailable, and OSError as the store does. May be tried again.
    """
    if job.checkpoint is not None:
        _fetch_blob(records, blobs, job.checkpoint.sha256, scratch / CHECKPOINT, go_on)
    for sha256 in records.jobs.files(job.id):
        _fetch_blob(records, blobs, sha256, scratch / FILES / sha256, go_on)
    if job.lane == LONG:
        _fetch_journal(records, blobs, job, scratch / JOURNAL, go_on)


def size_of(records: Records, job: Job) -> int:
    """Bytes that `fetch` writes. Raises Unavailable."""
    files = (records.blobs.find(sha256, None) for sha256 in records.jobs.files(job.id))
    journal = records.journal.entries(job.id) if job.lane == LONG else ()
    blobs = (*files, *(entry.blob for entry in journal))
    return (job.checkpoint.size if job.checkpoint else 0) + sum(blob.size for blob in blobs if blob is not None)


def _fetch_blob(records: Records, blobs: Blobs, sha256: str, destination: Path, go_on: GoOn) -> None:
    destination.unlink(missing_ok=True)  # what an earlier try left
    blob = records.blobs.find(sha256, None)
    if blob is None:
        raise BlobGone(f"the checkpoint {sha256} is no longer kept; upload it again.")
    try:
        source = blobs.open(blob.location)
    except FileNotFoundError as error:
        raise BlobGone(f"the checkpoint {blob.sha256} has gone from the store; upload it again.") from error
    try:
        with source:
            copy_checked(source, blob, destination, go_on)
    except BlobCorrupt:
        records.blobs.forget(blob)  # else it would be found here already when it is uploaded again
        raise


def _fetch_journal(records: Records, blobs: Blobs, job: Job, directory: Path, go_on: GoOn) -> None:
    """All of it or nothing: a job that finds none begins anew, and comes to the same end."""
    try:
        for entry in records.journal.entries(job.id):
            destination = directory / entry.name
            destination.unlink(missing_ok=True)
            with blobs.open(entry.blob.location) as source:
                copy_checked(source, entry.blob, destination, go_on)
    except (FileNotFoundError, BlobCorrupt) as error:
        log.error("journal lost; the job begins anew", job=job.id, reason=str(error))
        for path in directory.iterdir():
            path.unlink()
