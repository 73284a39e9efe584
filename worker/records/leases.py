"""Jobs as workers see them: claimed, kept alive, ended, given back.

A claim is one transaction and leaves a random token in the record; whoever holds the token may change the job. A worker
that lives lets `beat` grow, and has said in the record how long it may stand still. An observer that sees the same beat
for so long, on its own monotonic clock, takes the job away: no clock of one host is ever compared with another's.
"""

from collections.abc import Collection, Mapping, Sequence
from secrets import token_hex

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, insert, select, update

from worker.errors import WorkerLost
from worker.records.blobs import record_blob
from worker.records.clock import now
from worker.records.database import Database
from worker.records.log import write_end, write_entry, write_stages
from worker.records.rows import artifacts_text, job_of, stage_columns
from worker.records.score_rows import score_row
from worker.records.tables import job_artifacts, jobs, scores
from worker.records.turns import next_in_turn
from worker.records.values import (
    HELD,
    Ending,
    Event,
    Finished,
    Job,
    JobError,
    Lease,
    LogEntry,
    Stage,
    Status,
    StoredBlob,
)

MAX_ATTEMPTS = 2
"""A job whose worker dies is tried again; one that has lost so many workers is likely to be what kills them.

Only those count that died since the job last wrote down something new: one that gets on may lose any number of them.
"""


class Leases:
    """Claiming and everything a claim allows.

    `begun`: stages that began, the newest last, for the job's log; told again, they are written once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(
        self,
        worker: str,
        lanes: tuple[str, ...],
        lease_seconds: float | None = None,
        kinds: tuple[str, ...] | None = None,
        token: str | None = None,
        *,
        without: Collection[str] = (),
    ) -> Job | None:
        """The waiting job whose turn it is (see `turns`), now running for `worker`; None if none waits.

        `lease_seconds`: silence after which whoever looks takes the job away; None leaves that to them. `kinds`: all
        that the worker can do at the moment, where that is not every kind. `token`: of an earlier claim of this worker
        which raised Unavailable, and may have been written all the same: then it is that one's job. `without`: ids of
        jobs that are left to others.
        """
        token = token or token_hex(16)

        def work(connection: Connection) -> Job | None:
            if (earlier := _claimed(connection, token)) is not None:  # the connection broke, after the commit
                return earlier
            asked = {"lanes": lanes} | ({} if kinds is None else {"kinds": kinds})
            asked |= {"without": tuple(without)} if without else {}
            seq = connection.scalar(next_in_turn(*asked), asked)
            if seq is None:
                return None
            turn = select(func.coalesce(func.max(jobs.c.turn), 0) + 1).scalar_subquery()
            chosen = update(jobs).where(jobs.c.seq == seq, jobs.c.status == Status.QUEUED)
            changes = {
                "status": Status.RUNNING,
                "claim": token,
                "worker": worker,
                "attempt": jobs.c.attempt + 1,
                "turn": turn,
                "beat": 0,
                "lease_seconds": lease_seconds,
                "version": jobs.c.version + 1,
                "started_at": now(),
                **stage_columns(None),
            }
            connection.execute(chosen.values(**changes))
            claimed = _claimed(connection, token)  # None if it was canceled this very moment
            if claimed is not None:
                write_entry(connection, claimed.id, Event.CLAIMED, f"by worker {worker}, attempt {claimed.attempt}")
            return claimed

        return self._database.write_alone(work)

    def claimed(self, token: str) -> Job | None:
        """The job that is held by a claim under this token, if it was written."""
        return self._database.read(lambda connection: _claimed(connection, token))

    def waiting(
        self, lanes: tuple[str, ...], kinds: tuple[str, ...] | None = None, without: Collection[str] = ()
    ) -> int:
        """How many jobs wait in these lanes, of these kinds alone if any are named, and without those of these ids."""
        query = select(func.count()).where(jobs.c.status == Status.QUEUED, jobs.c.lane.in_(lanes))
        query = query.where(jobs.c.id.not_in(without)) if without else query
        query = query if kinds is None else query.where(jobs.c.kind.in_(kinds))
        return self._database.read(lambda connection: connection.scalar(query) or 0)

    def beat(self, job: Job, stage: Stage | None, begun: Sequence[LogEntry] = ()) -> Status | None:
        """A sign of life, and how far the job is. Its status: canceling asks to stop; None, the lease is lost."""
        columns = stage_columns(stage)
        same = and_(*(jobs.c[name].is_not_distinct_from(value) for name, value in columns.items()))

        def work(connection: Connection) -> Status | None:
            mine = update(jobs).where(_mine(job))
            connection.execute(mine.where(~same).values(**columns, version=jobs.c.version + 1))
            connection.execute(mine.values(beat=jobs.c.beat + 1))
            status = connection.scalar(select(jobs.c.status).where(_mine(job)))
            if status is None:
                return None
            write_stages(connection, job.id, begun)
            return Status(status)

        return self._database.write(work)

    def finish(
        self,
        job: Job,
        ending: Ending,
        begun: Sequence[LogEntry] = (),
        stage: Stage | None = None,
        blobs: Sequence[StoredBlob] = (),
    ) -> Finished | None:
        """Write how a claimed job ended, how far it was, and that `blobs` are its owner's; None if the lease was lost.

        One that was asked to cancel is canceled, and has the files all the same.
        """

        def work(connection: Connection) -> Finished | None:
            row = connection.execute(_STATE.with_for_update(), {"job_id": job.id}).first()
            if row is None or row.claim != job.claim:
                return None
            status = Status(row.status)
            if not status.final:  # else it was written by an earlier try whose connection broke
                canceled = Ending(Status.CANCELED, artifacts=ending.artifacts)
                end = canceled if status is Status.CANCELING else ending
                write_stages(connection, job.id, begun)
                _end(connection, job, end, stage)
                if end.status is Status.SUCCEEDED and (row_of_score := score_row(job, end)) is not None:
                    connection.execute(insert(scores).values(row_of_score))
                status = end.status
            recorded = (record_blob(connection, blob, job.owner, None) for blob in blobs)
            return Finished(status, tuple(blob.location for blob in recorded))

        return self._database.write_alone(work) if blobs else self._database.write(work)

    def may_be_tried_again(self, job: Job) -> bool:
        """Whether `retry` would have this job wait again, and not end."""
        query = _STATE.where(_mine(job))
        row = self._database.read(lambda connection: connection.execute(query, {"job_id": job.id}).first())
        if row is None or row.status == Status.CANCELING:
            return False
        return _may_be_tried_again(row.attempt, row.attempts_before)

    def give_back(self, job: Job, begun: Sequence[LogEntry] = (), why: str = "its worker cannot go on") -> bool:
        """A claimed job waits again as if it had never started: the job did nothing wrong. `why` is for its log.

        One that was asked to cancel is canceled. False if the lease was lost.
        """
        return self._requeue(job, why, begun) is not None

    def held(self) -> tuple[Lease, ...]:
        """Every lease there is."""
        query = select(jobs.c.id, jobs.c.claim, jobs.c.beat, jobs.c.lease_seconds).where(jobs.c.status.in_(HELD))
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return tuple(Lease(row.id, row.claim, row.beat, row.lease_seconds) for row in rows)

    def expire(self, lease: Lease) -> Status | None:
        """Take a job from a worker that gave no sign of life since `lease` was read; None if it has.

        The job waits again; after its last attempt it has failed; if it was to be canceled, it is.
        """

        def work(connection: Connection) -> Status | None:
            dead = and_(jobs.c.id == lease.job_id, jobs.c.claim == lease.claim, jobs.c.beat == lease.beat)
            asked = select(jobs.c.status, jobs.c.attempt, jobs.c.attempts_before, jobs.c.worker).where(dead)
            row = connection.execute(asked.with_for_update()).first()
            if row is None or row.status not in HELD:
                return None
            again = row.status == Status.RUNNING and _may_be_tried_again(row.attempt, row.attempts_before)
            ending = Ending(Status.FAILED, error=_LOST) if row.status == Status.RUNNING else Ending(Status.CANCELED)
            if again:
                changes: dict[str, object] = {"status": Status.QUEUED, "started_at": None, **stage_columns(None)}
            else:
                changes = {"status": ending.status, "finished_at": now(), "error": _error_text(ending.error)}
            changes |= {**_NOBODY, "version": jobs.c.version + 1}
            if not connection.execute(update(jobs).where(dead).values(**changes)).rowcount:
                return None
            then = "the job waits again" if again else "it is not tried again"
            write_entry(connection, lease.job_id, Event.LOST, f"worker {row.worker} gave no sign of life; {then}")
            if not again:
                write_end(connection, lease.job_id, ending)
            return Status.QUEUED if again else ending.status

        return self._database.write(work)

    def retry(
        self, job: Job, why: str, last: Ending, begun: Sequence[LogEntry] = (), stage: Stage | None = None
    ) -> Status | None:
        """A claimed job waits again and its attempt counts; after its last one it ends so. `why` is for its log.

        One that was asked to cancel is canceled. None if the lease was lost.
        """
        return self._requeue(job, why, begun, last, stage)

    def _requeue(
        self, job: Job, why: str, begun: Sequence[LogEntry], last: Ending | None = None, stage: Stage | None = None
    ) -> Status | None:
        """As `retry` with `last`, as `give_back` without it."""

        def work(connection: Connection) -> Status | None:
            row = connection.execute(_STATE.with_for_update(), {"job_id": job.id}).first()
            if row is None or row.claim != job.claim or row.status not in HELD:
                return None
            write_stages(connection, job.id, begun)
            if row.status == Status.CANCELING:
                _end(connection, job, Ending(Status.CANCELED))
                return Status.CANCELED
            if last is not None and not _may_be_tried_again(row.attempt, row.attempts_before):
                _end(connection, job, last, stage)
                return last.status
            attempt = row.attempt - 1 if last is None else row.attempt
            changes = {
                "status": Status.QUEUED,
                **_NOBODY,
                "attempt": attempt,
                "attempts_before": min(row.attempts_before, attempt),
                "started_at": None,
                "version": jobs.c.version + 1,
                **stage_columns(None),
            }
            write_entry(connection, job.id, Event.GIVEN_BACK, f"{why}; the job waits again")
            connection.execute(update(jobs).where(_mine(job)).values(**changes))
            return Status.QUEUED

        return self._database.write(work)


_NOBODY: Mapping[str, object] = {"claim": None, "worker": None, "lease_seconds": None}
"""The columns of whoever has a job, when nobody does."""
_STATE = select(jobs.c.status, jobs.c.claim, jobs.c.attempt, jobs.c.attempts_before).where(
    jobs.c.id == bindparam("job_id")
)
"""Asked for with a lock where it decides what is written: on PostgreSQL others would else write in between."""


def _claimed(connection: Connection, token: str) -> Job | None:
    """The job held under a token. Its status is asked for too: jobs that are held are few, and have an index."""
    row = connection.execute(select(jobs).where(jobs.c.status.in_(HELD), jobs.c.claim == token)).first()
    return None if row is None else job_of(row)


def _mine(job: Job) -> ColumnElement[bool]:
    return and_(jobs.c.id == job.id, jobs.c.claim == job.claim, jobs.c.status.in_(HELD))


def _end(connection: Connection, job: Job, ending: Ending, stage: Stage | None = None) -> None:
    """Write the end of a job that is held, in its record and in its log; how far it was, if no beat told of that."""
    changes = update(jobs).where(_mine(job))
    changes = changes.values(
        status=ending.status,
        result=ending.result,
        error=_error_text(ending.error),
        artifacts=artifacts_text(ending.artifacts),
        finished_at=now(),
        version=jobs.c.version + 1,
        **({} if stage is None else stage_columns(stage)),
    )
    if connection.execute(changes).rowcount:
        for sha256 in {artifact.sha256 for artifact in ending.artifacts}:
            connection.execute(insert(job_artifacts).values(job_id=job.id, sha256=sha256))
        write_end(connection, job.id, ending)


def _may_be_tried_again(attempt: int, attempts_before: int) -> bool:
    """Whether a job that was lost in its `attempt`-th attempt waits again, and has not failed."""
    return attempt - attempts_before < MAX_ATTEMPTS


def _error_text(error: JobError | None) -> str | None:
    return None if error is None else error.model_dump_json()


_LOST = JobError(
    code=WorkerLost.code,
    title=WorkerLost.title,
    detail=f"{MAX_ATTEMPTS} workers in a row gave no sign of life while they had this job; it is not tried again.",
    retryable=WorkerLost.retryable,
    yours=WorkerLost.yours,
)
