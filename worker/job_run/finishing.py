"""Writing the end of a job, with its files: of one that succeeded all or nothing, of any other what it had finished."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from worker.blobs.port import Incoming, copy_in
from worker.blobs.settling import settle_together
from worker.errors import OutputRefused, ServiceError, StorageFull, Unavailable
from worker.job_run.attempt import Attempt, Interruption, interruption, interruption_at_its_end, loss
from worker.job_run.blame import TRANSIENT_ERRORS, broken, is_ours, not_stored
from worker.job_run.outcomes import Lost, Outcome, Returned, Spent
from worker.job_run.retrying import (
    Interrupted,
    Patience,
    patience_after,
    patience_at_its_end,
    pause,
    raise_if_interrupted,
    with_retries,
)
from worker.records.values import Artifact, Ending, Status, StoredBlob
from worker.runner.outputs import collect, collect_finished

log = structlog.get_logger()


def finish_succeeded(attempt: Attempt, scratch: Path) -> Outcome:
    """Write the end of a job that succeeded, with its result and its files.

    Where these cannot be stored by the worker's fault or the store's, the job waits again and goes on from its journal.
    Raises Interrupted, OutputRefused, and OSError for files that cannot be read or written though others can.
    """
    try:
        left = partial(collect, scratch, attempt.job.kind, attempt.limits.scratch_bytes)
        result, paths = with_retries(attempt, left, patience_after)
        ending = Ending(Status.SUCCEEDED, result=result)
        return _store_and_finish(attempt, ending, paths, patience=patience_after, interrupted=interruption)
    except TRANSIENT_ERRORS as error:
        if is_ours(error, attempt.context.blobs.check):
            raise Interrupted(not_stored(attempt, error)) from error
        raise


def finish_with_files(attempt: Attempt, ending: Ending, scratch: Path) -> Ending | Lost | None:
    """Write the end of a job that failed or was canceled, together with the files that it had finished.

    None where it has none, or they cannot be kept: its end is then still to be written. The end itself never changes
    for its files, nor does it wait for the store for long; while the database is away, no end can be written at all.
    """
    try:
        finished = partial(collect_finished, scratch, attempt.limits.scratch_bytes)
        paths = with_retries(attempt, finished, patience_at_its_end, interruption_at_its_end)
        if not paths:
            return None
        return _store_and_finish(
            attempt, ending, paths, patience=patience_at_its_end, interrupted=interruption_at_its_end
        )
    except Interrupted:
        log.warning("what the job had finished is not kept: its worker stops, or has it no more", job=attempt.job.id)
    except (OutputRefused, ServiceError, OSError) as error:
        log.warning("what the job had finished is not kept", job=attempt.job.id, reason=str(error))
    except Exception:
        log.exception("what the job had finished cannot be kept", job=attempt.job.id)
    return None


def finish_without_files(attempt: Attempt, outcome: Outcome) -> Outcome:
    """Write an end that has no files, however long database or disk stay away; where the worker is to stop meanwhile,
    nothing is written, and the lease runs out.

    An end that cannot be written for any other reason is a fault of ours, and the job ends with that. Answers with how
    it ended.
    """
    leases, job, heartbeat = attempt.context.records.leases, attempt.job, attempt.heartbeat
    written = outcome
    while not heartbeat.lost:
        try:
            match written:
                case Ending():
                    leases.finish(job, written, heartbeat.begun, heartbeat.stage)
                case Spent(ending, why):
                    if leases.retry(job, why, ending, heartbeat.begun, heartbeat.stage) is Status.FAILED:
                        return ending
                case Returned(why=why):
                    leases.give_back(job, heartbeat.begun, why)
            break
        except ServiceError as error:
            log.warning("end not recorded yet", job=job.id, reason=str(error))
            if pause(attempt):
                break
        except Exception:
            log.exception("end cannot be recorded", job=job.id)
            if written is not outcome:
                break  # and the lease runs out
            written = broken(attempt)
    return written


def _store_and_finish(
    attempt: Attempt, ending: Ending, paths: Sequence[Path], *, patience: Patience, interrupted: Interruption
) -> Ending | Lost:
    """Write the end together with these files, as soon as the store takes them all."""
    return with_retries(attempt, partial(_stored, attempt, ending, paths, interrupted), patience, interrupted)


def _stored(attempt: Attempt, ending: Ending, paths: Sequence[Path], interrupted: Interruption) -> Ending | Lost:
    """The end of a job, written together with the records of its files.

    Each is this process's own (no sweep deletes it) until all of that is written.
    """
    context = attempt.context
    with ExitStack() as stack:
        incoming = [_copied(attempt, path, stack) for path in paths]

        def record(blobs: Sequence[StoredBlob]) -> tuple[Ending | Lost, Sequence[str | None]]:
            made = (
                Artifact(name=path.name, sha256=blob.sha256, size=blob.size)
                for path, blob in zip(paths, blobs, strict=True)
            )
            return _finished(attempt, replace(ending, artifacts=tuple(made)), blobs, interrupted)

        return settle_together(incoming, context.blobs, record, context.records.blobs.replace)


def _copied(attempt: Attempt, path: Path, stack: ExitStack) -> Incoming:
    """The file, on its way into the store as long as the stack lives, also where the job is canceled or its worker
    stops meanwhile. Raises Interrupted where somebody else has the job."""
    incoming = stack.enter_context(attempt.context.blobs.create())
    with path.open("rb") as source:
        copy_in(source, incoming, partial(raise_if_interrupted, attempt, loss))
    return incoming


def _finished(
    attempt: Attempt, ending: Ending, blobs: Sequence[StoredBlob], interrupted: Interruption
) -> tuple[Ending | Lost, Sequence[str | None]]:
    """Write the end and whose files these are, however long database or its disk stay away. How the job ended, and
    where each file lies now, if anywhere.

    Raises Unavailable or StorageFull if the job may not wait for that.
    """
    leases, heartbeat = attempt.context.records.leases, attempt.heartbeat
    while True:
        try:
            finished = leases.finish(attempt.job, ending, heartbeat.begun, heartbeat.stage, blobs)
            break
        except (Unavailable, StorageFull) as error:
            log.warning("end not recorded yet", job=attempt.job.id, reason=str(error))
            if pause(attempt) or interrupted(attempt) is not None:
                raise
    if finished is None:
        return Lost(), (None,) * len(blobs)
    if finished.status is not ending.status:
        ending = Ending(finished.status, artifacts=ending.artifacts)
    return ending, finished.locations
