"""One claimed job, from its files laid out to its end in the records."""

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import structlog

from micronet.errors import MicronetError
from worker.errors import RunnerUnavailable, ServiceError
from worker.job_run.blame import TRANSIENT_ERRORS, given_back, is_ours, spent
from worker.job_run.context import WorkerContext
from worker.job_run.fetching import fetch
from worker.job_run.finishing import keep, keep_finished
from worker.job_run.heartbeat import Heartbeat
from worker.job_run.journal_keeper import JournalKeeper
from worker.job_run.monitor import SETTLE_SECONDS, Monitor
from worker.job_run.outcomes import Outcome, Returned, Spent, failed, interruption
from worker.job_run.retrying import Interrupted, go_on, patience_before, patiently
from worker.records.values import Ending, Job, Stage, Status
from worker.runner import messages
from worker.runner.client import Runner
from worker.runner.failures import internal_error, told
from worker.runner.orders import JOURNAL
from worker.sweeping import scratch_directory

log = structlog.get_logger()

_NICE = 5  # the API answers while jobs compute
_RETRY_SECONDS = 1.0  # between tries to record an end
_REST_SECONDS = 30.0  # of a worker that could not do its part: longer than others take to find the job it gave back


def run_job(context: WorkerContext, job: Job, runner: Runner, device: str) -> None:
    """Run a claimed job and record its end. Raises nothing: whatever goes wrong is the end of the job, not of us.

    Where this worker could not do its part, the job goes back at once, and this returns when the worker has rested.
    """
    logged = log.bind(job=job.id, kind=job.kind, attempt=job.attempt)
    logged.info("job started", device=device)
    began = time.monotonic()
    with Heartbeat(context.records.leases, job, context.beat_seconds, context.lease_seconds) as heartbeat:
        try:
            outcome = _in_scratch(context, job, runner, device, heartbeat)
        except MicronetError as error:
            outcome = failed(_error_of(error, heartbeat.stage))
        except Exception:
            logged.exception("job broke its worker's code")
            outcome = failed(_internal(heartbeat.stage))
        if not _has_files(outcome):  # such an end is written together with them
            outcome = _recorded(context, job, outcome, heartbeat)
        if job.lane == "long":
            _forget_journal(context, job)
    took = round(time.monotonic() - began, 3)
    code = outcome.error.code if isinstance(outcome, Ending) and outcome.error else None
    logged.info("job ended", outcome=_name(outcome), code=code, seconds=took)
    if isinstance(outcome, Returned | Spent) and outcome.rests:
        _rest(context, runner)


def _in_scratch(context: WorkerContext, job: Job, runner: Runner, device: str, heartbeat: Heartbeat) -> Outcome:
    with ExitStack() as stack:
        journal = None
        try:
            scratch = _laid_out(context, job, heartbeat, stack)
            if job.lane == "long":
                limit = context.limits[job.lane].journal_bytes
                journal = stack.enter_context(
                    JournalKeeper(context.records, context.blobs, job, scratch / JOURNAL, limit)
                )
            outcome, gone = _run(context, job, runner, heartbeat, device=device, scratch=scratch, journal=journal)
            if _succeeded(outcome):
                return keep(context, job, scratch, heartbeat)
        except Interrupted as interrupted:
            outcome, gone = interrupted.outcome, False
        except OSError as error:
            outcome, gone = spent(job, error, heartbeat.stage), False
        if isinstance(outcome, Returned | Spent):
            _settle(journal, job)
        return _with_files(context, job, outcome, scratch, heartbeat) if gone else outcome


def _with_files(context: WorkerContext, job: Job, outcome: Outcome, scratch: Path, heartbeat: Heartbeat) -> Outcome:
    """How a job ended that did not succeed: written, if it has files that it had finished.

    Its process must be gone, and its journal settled: one that got on may be tried again.
    """
    ending = outcome
    if isinstance(outcome, Spent):
        ending = outcome if _may_be_tried_again(context, job) else outcome.ending
    kept = keep_finished(context, job, ending, scratch, heartbeat) if isinstance(ending, Ending) else None
    return outcome if kept is None else kept


def _may_be_tried_again(context: WorkerContext, job: Job) -> bool:
    try:
        return context.records.leases.may_be_tried_again(job)
    except ServiceError:
        return True


def _settle(journal: JournalKeeper | None, job: Job) -> None:
    if journal is not None and not journal.settle(SETTLE_SECONDS):
        log.warning("what the job wrote down last is not stored", job=job.id)


def _laid_out(context: WorkerContext, job: Job, heartbeat: Heartbeat, stack: ExitStack) -> Path:
    """A directory of the job's own, as long as the stack lives, with what it needs in it.

    Raises Interrupted, also where this worker lacks room or the store: that says nothing of the job. Raises OSError for
    files of the job that cannot be read though others can.
    """
    try:
        scratch = stack.enter_context(scratch_directory(context.scratch, f"{job.id}-{job.claim}"))
    except OSError as error:
        raise Interrupted(given_back(job, error)) from error
    try:
        patiently(
            context, heartbeat, partial(fetch, context.records, context.blobs, job, scratch), patience_before(context)
        )
    except TRANSIENT_ERRORS as error:
        if is_ours(error, context.blobs.identity):
            raise Interrupted(given_back(job, error)) from error
        raise
    return scratch


def _run(
    context: WorkerContext,
    job: Job,
    runner: Runner,
    heartbeat: Heartbeat,
    *,
    device: str,
    scratch: Path,
    journal: JournalKeeper | None,
) -> tuple[Outcome, bool]:
    """The job's process, from its start to its end, and whether it is gone.

    Raises Interrupted if there is none, or it may not start.
    """
    limits = context.limits[job.lane]
    request = messages.JobRequest(job.kind, job.settings, device, _NICE)
    try:
        running = runner.run(request, scratch, limits, lambda: interruption(heartbeat, context.stopping) is not None)
    except (RunnerUnavailable, OSError) as error:
        go_on(context, heartbeat)
        raise Interrupted(given_back(job, error)) from error
    try:
        outcome = Monitor(job, running, limits, heartbeat, context.stopping, journal=journal).outcome()
    finally:
        gone = running.kill()
    return outcome, gone


def _recorded(context: WorkerContext, job: Job, outcome: Outcome, heartbeat: Heartbeat) -> Outcome:
    """Write an end that has no files, however long database or disk stay away; unless we are to stop: the lease ends.

    An end that cannot be written for any other reason is a fault of ours, and the job ends with that. Answers with how
    it ended.
    """
    written = outcome
    while not heartbeat.lost:
        try:
            match written:
                case Ending():
                    context.records.leases.finish(job, written, heartbeat.begun, heartbeat.stage)
                case Spent(ending, why):
                    if (
                        context.records.leases.retry(job, why, ending, heartbeat.begun, heartbeat.stage)
                        is Status.FAILED
                    ):
                        return ending
                case Returned():
                    context.records.leases.give_back(job, heartbeat.begun)
            break
        except ServiceError as error:
            log.warning("end not recorded yet", job=job.id, reason=str(error))
            if context.stopping.wait(_RETRY_SECONDS):
                break
        except Exception:
            log.exception("end cannot be recorded", job=job.id)
            if written is not outcome:
                break  # and the lease runs out
            written = failed(_internal(heartbeat.stage))
    return written


def _forget_journal(context: WorkerContext, job: Job) -> None:
    """If the job has ended; what cannot be deleted now is swept."""
    try:
        for location in context.records.journal.forget(job.id):
            context.blobs.delete(location)
    except (ServiceError, OSError) as error:
        log.warning("journal not deleted yet", job=job.id, reason=str(error))


def _rest(context: WorkerContext, runner: Runner) -> None:
    """Claim nothing for a while: what kept one job from running, or its files from being stored, stops others too."""
    log.warning("worker rests", seconds=_REST_SECONDS)
    while not context.stopping.wait(_REST_SECONDS) and not (runner.ready and _store_works(context)):
        pass


def _store_works(context: WorkerContext) -> bool:
    try:
        context.blobs.check()
    except OSError as error:
        log.warning("worker rests on", reason=str(error))
        return False
    return True


def _error_of(error: MicronetError, stage: Stage | None) -> messages.JobError:
    return told(error, None if stage is None else stage.name)


def _internal(stage: Stage | None) -> messages.JobError:
    where = None if stage is None else stage.name
    return internal_error("the job could not be run to its end; the server's log says why.", where)


def _succeeded(outcome: Outcome) -> bool:
    return isinstance(outcome, Ending) and outcome.status is Status.SUCCEEDED


def _has_files(outcome: Outcome) -> bool:
    return isinstance(outcome, Ending) and (outcome.status is Status.SUCCEEDED or bool(outcome.artifacts))


def _name(outcome: Outcome) -> str:
    return outcome.status.value if isinstance(outcome, Ending) else type(outcome).__name__.lower()
