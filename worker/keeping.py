"""The end of a job and its files: of one that succeeded all or nothing, of any other what it had finished by then."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog

from worker.attempts import Lost, Outcome, interruption
from worker.bench import Bench
from worker.blobs.port import CHUNK
from worker.blobs.settling import settle
from worker.errors import ServiceError, StorageFull, Unavailable
from worker.faults import AWAY, given_back, is_ours
from worker.heart import Heart
from worker.records.values import Artifact, Ending, Job, Status, StoredBlob
from worker.runner.outputs import collect, collect_finished
from worker.waiting import Interrupted, patience_after, patiently

log = structlog.get_logger()

_Kept = tuple[
    Ending | Lost, tuple[str | None, ...]
]  # how a job ended, and where each of its files lies now, if anywhere
_Finish = Callable[[Ending, tuple[StoredBlob, ...]], _Kept]
_RETRY_SECONDS = 1.0
_PATIENCE_SECONDS = 60.0  # that an end without success waits for its files


def keep(bench: Bench, job: Job, scratch: Path, heart: Heart) -> Outcome:
    """Write the end of a job that succeeded.

    Where that is this worker's fault or the store's, the job waits again and goes on from its journal. Raises
    Interrupted, OutputRefused, and OSError for files that cannot be read or written though others can.
    """
    try:
        result, paths = collect(scratch, job.kind)
        ending = Ending(Status.SUCCEEDED, result=result)
        act = partial(_stored, bench, partial(_finished, bench, job, heart), ending, paths)
        outcome, _ = patiently(bench, heart, act, patience_after)
    except AWAY as error:
        if is_ours(error, bench.blobs.check):
            raise Interrupted(given_back(job, error)) from error
        raise
    return outcome


def keep_finished(bench: Bench, job: Job, ending: Ending, scratch: Path, heart: Heart) -> Ending | Lost | None:
    """Write the end of a job that failed or was canceled, together with the files that it had finished.

    None where it has none, or they cannot be kept: its end is then still to be written. That is never another one for
    them, nor does it wait for them for long.
    """
    try:
        paths = collect_finished(scratch, bench.limits[job.lane].scratch_bytes)
        if not paths:
            return None
        outcome, _ = _within_patience(
            bench, heart, partial(_stored, bench, partial(_finished, bench, job, heart), ending, paths)
        )
    except (ServiceError, OSError) as error:
        log.warning("what the job had finished is not kept", job=job.id, reason=str(error))
        return None
    except Exception:
        log.exception("what the job had finished cannot be kept", job=job.id)
        return None
    return outcome


def _within_patience(bench: Bench, heart: Heart, act: Callable[[], _Kept]) -> _Kept:
    """What `act` answers; it is tried again for a while. That the job was canceled is no reason to stop here."""
    deadline, pause = time.monotonic() + _PATIENCE_SECONDS, _RETRY_SECONDS
    while True:
        try:
            return act()
        except AWAY as error:
            if time.monotonic() >= deadline or heart.lost or bench.stopping.wait(pause):
                raise
            log.warning("end waits for its files", reason=str(error))
        pause = 2 * pause


def _stored(
    bench: Bench, finish: _Finish, ending: Ending, paths: Sequence[Path], blobs: tuple[StoredBlob, ...] = ()
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
        kept = _stored(bench, finish, so_far, others, (*blobs, blob))
        return kept, kept[1][len(blobs)]

    with path.open("rb") as source, bench.blobs.create() as incoming:
        while chunk := source.read(CHUNK):
            incoming.write(chunk)
        return settle(incoming, bench.blobs, record, bench.records.blobs.replace)


def _finished(bench: Bench, job: Job, heart: Heart, ending: Ending, blobs: tuple[StoredBlob, ...]) -> _Kept:
    """Write the end and whose files these are, however long database or its disk stay away.

    Raises Unavailable or StorageFull if the job may not wait for that.
    """
    while True:
        try:
            finished = bench.records.leases.finish(job, ending, heart.begun, heart.stage, blobs)
            break
        except (Unavailable, StorageFull) as error:
            log.warning("end not recorded yet", job=job.id, reason=str(error))
            if bench.stopping.wait(_RETRY_SECONDS) or interruption(heart, bench.stopping) is not None:
                raise
    if finished is None:
        return Lost(), (None,) * len(blobs)
    if finished.status is not ending.status:
        ending = Ending(finished.status, artifacts=ending.artifacts)
    return ending, finished.locations
