"""One claimed job, from its files laid out to its end in the records."""

import errno
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
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
from worker.watch import SETTLE_SECONDS, Lost, Outcome, Returned, Watch, failed, interruption

T = TypeVar("T")
_Kept = tuple[Outcome, tuple[str | None, ...]]  # how a job ended, and where each of its files lies now, if anywhere
_Finish = Callable[[Ending, tuple[StoredBlob, ...]], _Kept]

log = structlog.get_logger()

_NICE = 5  # the API answers while jobs compute
_RETRY_SECONDS = 1.0  # between tries to read or write while database, disk or store are away
_LONGEST_RETRY_SECONDS = 30.0  # between tries to store files, each of which copies them
_STORE_PATIENCE = 900.0  # seconds that a store of files is waited for: an error of the system may be one that stays
_HICCUP_SECONDS = 10.0  # that a job waits for what another worker may have
_REST_SECONDS = 30.0  # of a worker that could not do its part: longer than others take to find the job it gave back
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NOT_HERE = frozenset({errno.ENODEV, errno.ENOTCONN, errno.ESTALE})  # a file system that is not mounted, or cut off


@dataclass(frozen=True, slots=True)
class Bench:
    """What jobs are run with: records, files, limits, a place for scratch, and the wish to stop."""

    records: Records
    blobs: Blobs
    scratch: Path
    limits: Mapping[str, JobLimits]
    beat_seconds: float
    lease_seconds: float
    stopping: Event


class _Interrupted(Exception):
    """The job may not go on, whatever it waits for."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def run_job(bench: Bench, job: Job, runner: Runner, device: str) -> None:
    """Run a claimed job and record its end. Raises nothing: whatever goes wrong is the end of the job, not of us.

    Where this worker could not do its part, the job goes back at once, and this returns when the worker has rested.
    """
    logged = log.bind(job=job.id, kind=job.kind, attempt=job.attempt)
    logged.info("job started", device=device)
    began = time.monotonic()
    with Heart(bench.records.leases, job, bench.beat_seconds, bench.lease_seconds) as heart:
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
        if not _succeeded(outcome):  # such an end is written together with its files
            _record(bench, job, outcome, heart)
        if job.lane == "long":
            _forget_journal(bench, job)
    took = round(time.monotonic() - began, 3)
    code = outcome.error.code if isinstance(outcome, Ending) and outcome.error else None
    logged.info("job ended", outcome=_name(outcome), code=code, seconds=took)
    if isinstance(outcome, Returned) and outcome.rests:
        _rest(bench, runner)


def _in_scratch(bench: Bench, job: Job, runner: Runner, device: str, heart: Heart) -> Outcome:
    with ExitStack() as stack:
        scratch = _laid_out(bench, job, heart, stack)
        journal = None
        if job.lane == "long":
            limit = bench.limits[job.lane].journal_bytes
            journal = stack.enter_context(JournalKeeper(bench.records, bench.blobs, job, scratch / JOURNAL, limit))
        try:
            outcome = _run(bench, job, runner, heart, device=device, scratch=scratch, journal=journal)
            if _succeeded(outcome):
                outcome = _store(bench, job, scratch, heart)
        except _Interrupted as interrupted:
            outcome = interrupted.outcome
        if journal is not None and isinstance(outcome, Returned) and not journal.settle(SETTLE_SECONDS):
            log.warning("what the job wrote down last is not stored", job=job.id)
        return outcome


def _laid_out(bench: Bench, job: Job, heart: Heart, stack: ExitStack) -> Path:
    """A directory of the job's own, as long as the stack lives, with what it needs in it.

    Raises _Interrupted, also where this worker lacks room or the store: that says nothing of the job.
    """
    try:
        scratch = stack.enter_context(scratch_directory(bench.scratch, f"{job.id}-{job.claim}"))
        _patiently(bench, heart, partial(fetch, bench.records, bench.blobs, job, scratch), _patience_before)
    except (Unavailable, StorageFull, OSError) as error:
        if not _is_ours(error):
            raise
        raise _given_back(job, error) from error
    return scratch


def _run(
    bench: Bench, job: Job, runner: Runner, heart: Heart, *, device: str, scratch: Path, journal: JournalKeeper | None
) -> Outcome:
    """The job's process, from its start to its end. Raises _Interrupted if there is none, or it may not start."""
    limits = bench.limits[job.lane]
    request = messages.JobRequest(job.kind, job.settings, device, _NICE)
    try:
        running = runner.run(request, scratch, limits, lambda: interruption(heart, bench.stopping) is not None)
    except (RunnerUnavailable, OSError) as error:
        _go_on(bench, heart)
        raise _given_back(job, error) from error
    try:
        return Watch(job, running, limits, heart, bench.stopping, journal=journal).outcome()
    finally:
        running.kill()


def _patiently(bench: Bench, heart: Heart, act: Callable[[], T], patience: Callable[[Exception], float]) -> T:
    """What `act` answers; it is tried again while database or store stay away, or are full, with growing pauses.

    `patience`: seconds that such an error is borne. Raises _Interrupted, that error, and what else `act` raises.
    """
    began, pause = time.monotonic(), _RETRY_SECONDS
    while True:
        try:
            return act()
        except (Unavailable, StorageFull, OSError) as error:
            _go_on(bench, heart)
            if time.monotonic() - began >= patience(error):
                raise
            log.warning("job waits for its files", reason=str(error))
        resumes = time.monotonic() + pause
        while time.monotonic() < resumes:
            bench.stopping.wait(min(pause, _RETRY_SECONDS))
            _go_on(bench, heart)
        pause = min(2 * pause, _LONGEST_RETRY_SECONDS)


def _patience_before(error: Exception) -> float:
    """Before its process starts a job is better off with another worker, unless it is its own file that fails."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return 0.0
    return _HICCUP_SECONDS if _is_ours(error) else _STORE_PATIENCE


def _patience_after(_: Exception) -> float:
    """What a job has made is held on to."""
    return _STORE_PATIENCE


def _go_on(bench: Bench, heart: Heart) -> None:
    """Raise _Interrupted unless the job may go on."""
    if (interrupted := interruption(heart, bench.stopping)) is not None:
        raise _Interrupted(interrupted)


def _store(bench: Bench, job: Job, scratch: Path, heart: Heart) -> Outcome:
    """Write the end of a job that succeeded, its files and its result: all of it or nothing.

    Where it cannot be written the job waits again, and goes on from its journal. Raises _Interrupted, OutputRefused.
    """
    result, paths = collect(scratch, job.kind)
    ending = Ending(Status.SUCCEEDED, result=result)
    keep = partial(_keep, bench, partial(_finish, bench, job, heart), ending, paths)
    try:
        outcome, _ = _patiently(bench, heart, keep, _patience_after)
    except (Unavailable, StorageFull, OSError) as error:
        raise _given_back(job, error) from error
    return outcome


def _keep(
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
        kept = _keep(bench, finish, so_far, others, (*blobs, blob))
        return kept, kept[1][len(blobs)]

    with path.open("rb") as source, bench.blobs.create() as incoming:
        while chunk := source.read(CHUNK):
            incoming.write(chunk)
        return settle(incoming, bench.blobs, record, bench.records.blobs.replace)


def _finish(bench: Bench, job: Job, heart: Heart, ending: Ending, blobs: tuple[StoredBlob, ...]) -> _Kept:
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
    return ending if finished.status is ending.status else Ending(finished.status), finished.locations


def _record(bench: Bench, job: Job, outcome: Outcome, heart: Heart) -> None:
    """Write an end that has no files, however long database or disk stay away; unless we are to stop: the lease ends.

    An end that cannot be written for any other reason is a fault of ours, and the job ends with that.
    """
    written = outcome
    while not heart.lost:
        try:
            match written:
                case Ending():
                    bench.records.leases.finish(job, written, heart.begun, heart.stage)
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


def _rest(bench: Bench, runner: Runner) -> None:
    """Claim nothing for a while: what kept one job from running, or its files from being stored, stops others too."""
    log.warning("worker rests", seconds=_REST_SECONDS)
    while not bench.stopping.wait(_REST_SECONDS) and not runner.ready:
        pass


def _given_back(job: Job, error: Exception) -> _Interrupted:
    """How a job ends whose worker cannot do its part."""
    log.error("worker cannot do its part; the job goes back", job=job.id, reason=str(error))
    return _Interrupted(Returned(tried=False, rests=True))


def _is_ours(error: Exception) -> bool:
    """Whether an error before the start says something of this worker alone, and nothing of the job's files."""
    if isinstance(error, OSError):
        return error.errno in _FULL | _NOT_HERE
    return isinstance(error, Unavailable | StorageFull)


def _named(error: OSError) -> ServiceError:
    """What a file system or a store says, as the end of a job."""
    return Unavailable(f"the worker could not read or write files: {error.strerror or error}")


def _error_of(error: MicronetError, stage: Stage | None) -> messages.JobError:
    return told(error, None if stage is None else stage.name)


def _internal(stage: Stage | None) -> messages.JobError:
    where = None if stage is None else stage.name
    return internal_error("the job could not be run to its end; the server's log says why.", where)


def _succeeded(outcome: Outcome) -> bool:
    return isinstance(outcome, Ending) and outcome.status is Status.SUCCEEDED


def _name(outcome: Outcome) -> str:
    return outcome.status.value if isinstance(outcome, Ending) else type(outcome).__name__.lower()
