"""One claimed job, from its files laid out to its end in the records."""

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

import structlog

from micronet.errors import MicronetError
from worker.blobs.port import CHUNK
from worker.errors import DeviceUnavailable, RunnerUnavailable, ServiceError
from worker.job_run.attempt import Attempt, interruption
from worker.job_run.blame import TRANSIENT_ERRORS, broken, given_back, is_full, is_ours, spent, without_room
from worker.job_run.context import WorkerContext
from worker.job_run.fetching import fetch
from worker.job_run.finishing import finish_succeeded, finish_with_files, finish_without_files
from worker.job_run.heartbeat import Heartbeat
from worker.job_run.journal_keeper import JournalKeeper
from worker.job_run.monitor import Monitor
from worker.job_run.outcomes import Outcome, Returned, Spent, failed
from worker.job_run.retrying import Interrupted, patience_before, raise_if_interrupted, with_retries
from worker.records.values import Ending, Job, Status
from worker.runner import Runner, messages
from worker.runner.failures import told
from worker.runner.orders import JOURNAL
from worker.scratch_directories import scratch_directory
from worker.settings import LONG

log = structlog.get_logger()

_NICE = 5  # the API answers while jobs compute
_SETTLE_SECONDS = 10.0  # that the end of an attempt waits for what the job wrote down last
_REST_SECONDS = 30.0  # of a worker that could not do its part: longer than others take to find the job it gave back


def run_job(context: WorkerContext, job: Job, runner: Runner, device: str) -> bool:
    """Run a claimed job and record its end. Raises nothing: whatever goes wrong is the end of the job, not of us.

    Where this worker could not do its part, the job goes back at once, and this returns when the worker has rested.
    False where the device did not answer: it would take and fail one job after the other.
    """
    logged = log.bind(job=job.id, kind=job.kind, attempt=job.attempt)
    logged.info("job started", device=device)
    began = time.monotonic()
    heartbeat = Heartbeat(context.records.leases, job, context.beat_seconds, context.lease_seconds)
    attempt = Attempt(context, job, heartbeat)
    with ExitStack() as stack:
        try:
            stack.enter_context(heartbeat)
            outcome = _in_scratch(attempt, runner, device)
        except RunnerUnavailable as error:
            outcome = given_back(attempt, error)
        except MicronetError as error:
            outcome = failed(told(error, attempt.stage_name))
        except Exception:
            logged.exception("job broke its worker's code")
            outcome = broken(attempt)
        if not _has_files(outcome):  # such an end is written together with them
            outcome = finish_without_files(attempt, outcome)
        if job.lane == LONG:
            _forget_journal(attempt)
    took = round(time.monotonic() - began, 3)
    code = _code(outcome)
    logged.info("job ended", outcome=_name(outcome), code=code, seconds=took)
    if isinstance(outcome, Returned | Spent) and outcome.rests:
        _rest(context, runner)
    return code != DeviceUnavailable.code


def _in_scratch(attempt: Attempt, runner: Runner, device: str) -> Outcome:
    """How the attempt ended. An end that has files is written here, while they are there."""
    with ExitStack() as stack:
        journal = None
        try:
            scratch = _laid_out(attempt, stack)
            journal = _journal(attempt, scratch, stack)
            outcome, gone = _run(attempt, runner, device=device, scratch=scratch, journal=journal)
            if _succeeded(outcome):
                return finish_succeeded(attempt, scratch)
        except Interrupted as interrupted:
            outcome, gone = interrupted.outcome, False
        except OSError as error:
            outcome, gone = spent(attempt, error), False
        if isinstance(outcome, Returned | Spent):
            _settle(attempt, journal)
        return _unsuccessful(attempt, outcome, scratch) if gone else outcome


def _unsuccessful(attempt: Attempt, outcome: Outcome, scratch: Path) -> Outcome:
    """How a job ended that did not succeed: written, if it has files that it had finished.

    Its process must be gone, and its journal settled: one that got on may be tried again.
    """
    ending = outcome
    if isinstance(outcome, Spent):
        ending = outcome if _may_be_tried_again(attempt) else outcome.ending
    finished = finish_with_files(attempt, ending, scratch) if isinstance(ending, Ending) else None
    return outcome if finished is None else finished


def _may_be_tried_again(attempt: Attempt) -> bool:
    try:
        return attempt.context.records.leases.may_be_tried_again(attempt.job)
    except ServiceError:
        return True


def _laid_out(attempt: Attempt, stack: ExitStack) -> Path:
    """A directory of the job's own, as long as the stack lives, with what it needs in it.

    Raises Interrupted, also where this worker lacks room or the store: that says nothing of the job. Raises OSError for
    files of the job that cannot be read though others can.
    """
    context, job = attempt.context, attempt.job
    try:
        scratch = stack.enter_context(scratch_directory(context.scratch, f"{job.id}-{job.claim}"))
    except OSError as error:
        raise Interrupted(given_back(attempt, error)) from error
    go_on = partial(raise_if_interrupted, attempt)
    fetched = partial(fetch, context.records, context.blobs, job, scratch, go_on)
    try:
        with_retries(attempt, fetched, patience_before(attempt))
    except TRANSIENT_ERRORS as error:
        _raise_if_without_room(attempt, error, scratch)
        if is_ours(error, context.blobs.identity):
            raise Interrupted(given_back(attempt, error)) from error
        raise
    return scratch


def _raise_if_without_room(attempt: Attempt, error: Exception, scratch: Path) -> None:
    if is_full(error):
        try:
            outcome = without_room(attempt, scratch)
        except (ServiceError, OSError) as another:
            outcome = given_back(attempt, another)
        raise Interrupted(outcome) from error


def _journal(attempt: Attempt, scratch: Path, stack: ExitStack) -> JournalKeeper | None:
    """What stores the journal of a long job, as long as the stack lives. Raises RunnerUnavailable, JournalRefused.

    Raises Interrupted where the worker cannot look at what it has just fetched.
    """
    context, job = attempt.context, attempt.job
    if job.lane != LONG:
        return None
    keeper = JournalKeeper(context.records, context.blobs, job, scratch / JOURNAL, attempt.limits.journal_bytes)
    try:
        return stack.enter_context(keeper)
    except OSError as error:
        raise Interrupted(given_back(attempt, error)) from error


def _run(
    attempt: Attempt, runner: Runner, *, device: str, scratch: Path, journal: JournalKeeper | None
) -> tuple[Outcome, bool]:
    """The job's process, from its start to its end, and whether it is gone.

    Raises Interrupted if there is none, or it may not start.
    """
    request = messages.JobRequest(attempt.job.kind, attempt.job.settings, device, _NICE)
    try:
        running = runner.run(request, scratch, attempt.limits, lambda: interruption(attempt) is not None)
    except (RunnerUnavailable, OSError) as error:
        raise_if_interrupted(attempt)
        _raise_if_without_room(attempt, error, scratch)
        raise Interrupted(given_back(attempt, error)) from error
    try:
        outcome = Monitor(attempt, running, journal).outcome()
    finally:
        gone = running.kill()
    return outcome, gone


def _settle(attempt: Attempt, journal: JournalKeeper | None) -> None:
    """Wait, for a moment, until what the job wrote down last is stored."""
    if journal is not None and not journal.settle(_SETTLE_SECONDS):
        log.warning("what the job wrote down last is not stored", job=attempt.job.id)


def _forget_journal(attempt: Attempt) -> None:
    """If the job has ended; what cannot be deleted now is swept."""
    try:
        for location in attempt.context.records.journal.forget(attempt.job.id):
            attempt.context.blobs.delete(location)
    except (ServiceError, OSError) as error:
        log.warning("journal not deleted yet", job=attempt.job.id, reason=str(error))


def _rest(context: WorkerContext, runner: Runner) -> None:
    """Claim nothing for a while: what kept one job from running, or its files from being stored, stops others too."""
    log.warning("worker rests", seconds=_REST_SECONDS)
    while not context.stopping.wait(_REST_SECONDS) and not (runner.ready and _disks_work(context)):
        pass


def _disks_work(context: WorkerContext) -> bool:
    """Whether the store and the scratch directory take a file."""
    try:
        context.blobs.check()
        context.scratch.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=context.scratch, buffering=0) as file:
            file.write(bytes(CHUNK))
    except OSError as error:
        log.warning("worker rests on", reason=str(error))
        return False
    return True


def _succeeded(outcome: Outcome) -> bool:
    return isinstance(outcome, Ending) and outcome.status is Status.SUCCEEDED


def _has_files(outcome: Outcome) -> bool:
    return isinstance(outcome, Ending) and (outcome.status is Status.SUCCEEDED or bool(outcome.artifacts))


def _code(outcome: Outcome) -> str | None:
    """What kind of error an attempt ended with, whether or not the job is tried again."""
    ending = outcome.ending if isinstance(outcome, Spent) else outcome
    return ending.error.code if isinstance(ending, Ending) and ending.error else None


def _name(outcome: Outcome) -> str:
    return outcome.status.value if isinstance(outcome, Ending) else type(outcome).__name__.lower()
