"""One claimed job, from its files laid out to its end in the records."""

import errno
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import TypeVar

import structlog

from micronet.errors import MicronetError
from worker.blobs import Blobs
from worker.blobs.port import CHUNK
from worker.blobs.settling import settle
from worker.errors import RunnerUnavailable, ServiceError, StorageFull, Unavailable
from worker.fetching import fetch
from worker.heart import Heart
from worker.journal import JournalKeeper
from worker.limits import JobLimits
from worker.records import Records
from worker.records.values import Artifact, Ending, Job, Stage, Status, StoredBlob
from worker.runner import messages
from worker.runner.client import Runner
from worker.runner.failures import internal_error, told
from worker.runner.orders import JOURNAL
from worker.runner.outputs import collect
from worker.sweeping import scratch_directory
from worker.watch import SETTLE_SECONDS, Outcome, Returned, Watch, failed, interruption

T = TypeVar("T")

log = structlog.get_logger()

_NICE = 5  # the API answers while jobs compute
_RETRY_SECONDS = 1.0  # between tries to read or write while database, disk or store are away
_STORE_PATIENCE = 900.0  # seconds that a store of files is waited for: an error of the system may be one that stays


@dataclass(frozen=True, slots=True)
class Bench:
    """What jobs are run with: records, files, limits, a place for scratch, and the wish to stop.

    `quota`: bytes that one owner may store; None for as many as he likes.
    """

    records: Records
    blobs: Blobs
    scratch: Path
    limits: Mapping[str, JobLimits]
    beat_seconds: float
    stopping: Event
    quota: int | None = None


class _Interrupted(Exception):
    """The job may not go on, whatever it waits for."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def run_job(bench: Bench, job: Job, runner: Runner, device: str) -> None:
    """Run a claimed job and record its end. Raises nothing: whatever goes wrong is the end of the job, not of us."""
    logged = log.bind(job=job.id, kind=job.kind, attempt=job.attempt)
    logged.info("job started", device=device)
    began = time.monotonic()
    with Heart(bench.records.leases, job, bench.beat_seconds) as heart:
        try:
            outcome = _in_scratch(bench, job, runner, device, heart)
        except _Interrupted as interrupted:
            outcome = interrupted.outcome
        except MicronetError as error:
            outcome = failed(_error_of(error, heart.stage))
        except OSError as error:
            outcome = failed(_error_of(_named(error), heart.stage))
        except Exception:
            logged.exception("job broke its worker's code")
            outcome = failed(_internal(heart.stage))
        _record(bench, job, outcome, heart)
        if job.lane == "long":
            _forget_journal(bench, job)
    took = round(time.monotonic() - began, 3)
    code = outcome.error.code if isinstance(outcome, Ending) and outcome.error else None
    logged.info("job ended", outcome=_name(outcome), code=code, seconds=took)


def _in_scratch(bench: Bench, job: Job, runner: Runner, device: str, heart: Heart) -> Outcome:
    with scratch_directory(bench.scratch, f"{job.id}-{job.claim}") as scratch:
        _patiently(bench, heart, partial(fetch, bench.records, bench.blobs, job, scratch))
        if job.lane == "long":
            limit = bench.limits[job.lane].journal_bytes
            with JournalKeeper(bench.records, bench.blobs, job, scratch / JOURNAL, limit) as journal:
                outcome = _run(bench, job, runner, heart, device=device, scratch=scratch, journal=journal)
        else:
            outcome = _run(bench, job, runner, heart, device=device, scratch=scratch, journal=None)
        if isinstance(outcome, Ending) and outcome.status is Status.SUCCEEDED:
            return _store(bench, job, scratch, heart)
        return outcome


def _run(
    bench: Bench, job: Job, runner: Runner, heart: Heart, *, device: str, scratch: Path, journal: JournalKeeper | None
) -> Outcome:
    """The job's process, from its start to its end. One that goes back has its newest entry stored first."""
    limits = bench.limits[job.lane]
    try:
        running = runner.run(messages.JobRequest(job.kind, job.settings, device, _NICE), scratch, limits)
    except RunnerUnavailable as error:
        log.warning("no process for the job", job=job.id, reason=str(error))
        return Returned(tried=False)
    try:
        outcome = Watch(job, running, limits, heart, bench.stopping, journal=journal).outcome()
    finally:
        running.kill()
    if journal is not None and isinstance(outcome, Returned) and not journal.settle(SETTLE_SECONDS):
        log.warning("what the job wrote down last is not stored", job=job.id)
    return outcome


def _patiently(bench: Bench, heart: Heart, act: Callable[[], T]) -> T:
    """What `act` answers; it is tried again while the database or the store of files stay away.

    Raises _Interrupted, OSError for a full disk or a store that stays away too long, and what else `act` raises.
    """
    deadline = time.monotonic() + _STORE_PATIENCE
    while True:
        try:
            return act()
        except (Unavailable, OSError) as error:
            if isinstance(error, OSError) and (_is_full(error) or time.monotonic() > deadline):
                raise
            log.warning("job waits for its files", reason=str(error))
        bench.stopping.wait(_RETRY_SECONDS)
        if (interrupted := interruption(heart, bench.stopping)) is not None:
            raise _Interrupted(interrupted)


def _store(bench: Bench, job: Job, scratch: Path, heart: Heart) -> Ending:
    """Result and artifacts of a job that succeeded, the artifacts in the store."""
    result, paths = collect(scratch, job.kind)
    artifacts = tuple(_patiently(bench, heart, partial(_keep, bench, job, path, heart)) for path in paths)
    return Ending(Status.SUCCEEDED, result=result, artifacts=artifacts)


def _keep(bench: Bench, job: Job, path: Path, heart: Heart) -> Artifact:
    """One artifact, stored and recorded. While the database is away it is this one copy that waits for it."""

    def record(blob: StoredBlob) -> tuple[StoredBlob, str]:
        while True:
            try:
                kept = bench.records.blobs.add(blob, job.owner, bench.quota)
            except Unavailable as error:
                log.warning("artifact not recorded yet", job=job.id, reason=str(error))
                if bench.stopping.wait(_RETRY_SECONDS) or interruption(heart, bench.stopping) is not None:
                    raise
            else:
                return kept, kept.location

    with path.open("rb") as source, bench.blobs.create() as incoming:
        while chunk := source.read(CHUNK):
            incoming.write(chunk)
        blob = settle(incoming, bench.blobs, record, bench.records.blobs.replace)
    return Artifact(name=path.name, sha256=blob.sha256, size=blob.size)


def _record(bench: Bench, job: Job, outcome: Outcome, heart: Heart) -> None:
    """Write the end, however long database or disk stay away; unless we are to stop, and then the lease runs out.

    An end that cannot be written for any other reason is a fault of ours, and the job ends with that.
    """
    written = outcome
    while not heart.lost:
        try:
            match written:
                case Ending():
                    bench.records.leases.finish(job, written, heart.begun)
                case Returned(tried=True):
                    bench.records.leases.retry(job, heart.begun)
                case Returned():
                    bench.records.leases.give_back(job, heart.begun)
            return
        except ServiceError as error:
            log.warning("end not recorded yet", job=job.id, reason=str(error))
            if bench.stopping.wait(_RETRY_SECONDS):
                return
        except Exception:
            log.exception("end cannot be recorded", job=job.id)
            if written is not outcome:
                return  # and the lease runs out
            written = failed(_internal(heart.stage))


def _forget_journal(bench: Bench, job: Job) -> None:
    """If the job has ended; what cannot be deleted now is swept."""
    try:
        for location in bench.records.journal.forget(job.id):
            bench.blobs.delete(location)
    except (ServiceError, OSError) as error:
        log.warning("journal not deleted yet", job=job.id, reason=str(error))


def _is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _named(error: OSError) -> ServiceError:
    """What a file system or a store says, as the end of a job."""
    if _is_full(error):
        return StorageFull(f"the worker could not write: {error.strerror}")
    return Unavailable(f"the worker could not read or write files: {error.strerror or error}")


def _error_of(error: MicronetError, stage: Stage | None) -> messages.JobError:
    return told(error, None if stage is None else stage.name)


def _internal(stage: Stage | None) -> messages.JobError:
    where = None if stage is None else stage.name
    return internal_error("the job could not be run to its end; the server's log says why.", where)


def _name(outcome: Outcome) -> str:
    return outcome.status.value if isinstance(outcome, Ending) else type(outcome).__name__.lower()
