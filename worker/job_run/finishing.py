"""The end of a job and its files: of one that succeeded all or nothing, of any other what it had finished by then."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from worker.blobs.port import CHUNK
from worker.blobs.settling import settle
from worker.errors import OutputRefused, ServiceError, StorageFull, Unavailable
from worker.job_run.blame import TRANSIENT_ERRORS, given_back, is_ours
from worker.job_run.context import WorkerContext
from worker.job_run.heartbeat import Heartbeat
from worker.job_run.outcomes import Interruption, Lost, Outcome, interruption, interruption_at_its_end
from worker.job_run.retrying import Interrupted, Patience, patience_after, patience_at_its_end, patiently
from worker.records.values import Artifact, Ending, Job, Status, StoredBlob
from worker.runner.outputs import collect, collect_finished

log = structlog.get_logger()

_Kept = tuple[Ending | Lost, tuple[str | None, ...]]
"""How a job ended, and where each of its files lies now, if anywhere."""
_Finish = Callable[[Ending, tuple[StoredBlob, ...]], _Kept]
_RETRY_SECONDS = 1.0  # between tries to write the end of files that are stored


def keep(context: WorkerContext, job: Job, scratch: Path, heartbeat: Heartbeat) -> Outcome:
    """Write the end of a job that succeeded.

    Where that is this worker's fault or the store's, the job waits again and goes on from its journal. Raises
    Interrupted, OutputRefused, and OSError for files that cannot be read or written though others can.
    """
    try:
        result, paths = collect(scratch, job.kind, context.limits[job.lane].scratch_bytes)
        ending = Ending(Status.SUCCEEDED, result=result)
        return _with_files(context, job, heartbeat, ending, paths, patience=patience_after, interrupted=interruption)
    except TRANSIENT_ERRORS as error:
        if is_ours(error, context.blobs.check):
            raise Interrupted(given_back(job, error)) from error
        raise


def keep_finished(
    context: WorkerContext, job: Job, ending: Ending, scratch: Path, heartbeat: Heartbeat
) -> Ending | Lost | None:
    """Write the end of a job that failed or was canceled, together with the files that it had finished.

    None where it has none, or they cannot be kept: its end is then still to be written. That is never another one for
    them, nor does it wait for the store for long; while it is the database that is away, no end can be written at all.
    """
    try:
        paths = collect_finished(scratch, context.limits[job.lane].scratch_bytes)
        if not paths:
            return None
        return _with_files(
            context, job, heartbeat, ending, paths, patience=patience_at_its_end, interrupted=interruption_at_its_end
        )
    except Interrupted:
        log.warning("what the job had finished is not kept: its worker stops, or has it no more", job=job.id)
    except (OutputRefused, ServiceError, OSError) as error:
        log.warning("what the job had finished is not kept", job=job.id, reason=str(error))
    except Exception:
        log.exception("what the job had finished cannot be kept", job=job.id)
    return None


def _with_files(
    context: WorkerContext,
    job: Job,
    heartbeat: Heartbeat,
    ending: Ending,
    paths: Sequence[Path],
    *,
    patience: Patience,
    interrupted: Interruption,
) -> Ending | Lost:
    """Write the end together with these files, as soon as the store takes them all."""
    finish = partial(_finished, context, job, heartbeat, interrupted=interrupted)
    outcome, _ = patiently(context, heartbeat, partial(_stored, context, finish, ending, paths), patience, interrupted)
    return outcome


def _stored(
    context: WorkerContext, finish: _Finish, ending: Ending, paths: Sequence[Path], blobs: tuple[StoredBlob, ...] = ()
) -> _Kept:
    """The end of a job, with files `blobs` in the store and those of `paths` to come.

    Each is this process's own (no sweep deletes it) until the end is written, together with the records of them all.
    """
    if not paths:
        return finish(ending, blobs)
    path, *others = paths

    def record(blob: StoredBlob) -> tuple[_Kept, str | None]:
        made = Artifact(name=path.name, sha256=blob.sha256, size=blob.size)
        so_far = replace(ending, artifacts=(*ending.artifacts, made))
        kept = _stored(context, finish, so_far, others, (*blobs, blob))
        return kept, kept[1][len(blobs)]

    with path.open("rb") as source, context.blobs.create() as incoming:
        while chunk := source.read(CHUNK):
            incoming.write(chunk)
        return settle(incoming, context.blobs, record, context.records.blobs.replace)


def _finished(
    context: WorkerContext,
    job: Job,
    heartbeat: Heartbeat,
    ending: Ending,
    blobs: tuple[StoredBlob, ...],
    *,
    interrupted: Interruption,
) -> _Kept:
    """Write the end and whose files these are, however long database or its disk stay away.

    Raises Unavailable or StorageFull if the job may not wait for that.
    """
    while True:
        try:
            finished = context.records.leases.finish(job, ending, heartbeat.begun, heartbeat.stage, blobs)
            break
        except (Unavailable, StorageFull) as error:
            log.warning("end not recorded yet", job=job.id, reason=str(error))
            if context.stopping.wait(_RETRY_SECONDS) or interrupted(heartbeat, context.stopping) is not None:
                raise
    if finished is None:
        return Lost(), (None,) * len(blobs)
    if finished.status is not ending.status:
        ending = Ending(finished.status, artifacts=ending.artifacts)
    return ending, finished.locations
