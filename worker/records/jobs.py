"""Jobs as their senders see them: accepted, read, listed, canceled, deleted."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    delete,
    func,
    insert,
    null,
    select,
    update,
)

from worker.errors import IdempotencyConflict, JobNotEnded, JobNotFound, TooManyWaiting
from worker.records.blobs import record_blob, use_blob
from worker.records.clock import ago, now
from worker.records.database import Database
from worker.records.holding import check_quota
from worker.records.log import read_log, write_end, write_entry
from worker.records.naming import is_named
from worker.records.places import place, places
from worker.records.removal import remove_job
from worker.records.rows import columns_of, job_of
from worker.records.tables import blobs, idempotency_keys, job_files, jobs
from worker.records.values import ALIVE, Ending, Event, Idempotency, Job, LogEntry, NewJob, Status, StoredBlob

# Made once: they are what every sender and follower of jobs asks for, and making them takes as long as running them.
_IS_IT = jobs.c.id == bindparam("job_id")
_BY_ID = select(jobs).where(_IS_IT)
_WITHOUT_RESULT = select(*(column for column in jobs.c if column is not jobs.c.result), null().label("result"))
"""Results are long."""
_IN_BRIEF, _RESULT = _WITHOUT_RESULT.where(_IS_IT), select(jobs.c.result).where(_IS_IT)
_WAITING = select(func.count()).where(jobs.c.status == Status.QUEUED, jobs.c.owner == bindparam("owner"))
_INSERT = insert(jobs)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs to list; None asks nothing.

    `before`: only jobs accepted before the one of that `seq`. `id_prefix`: hexadecimal digits that the id begins with.
    """

    owner: str | None = None
    status: Status | None = None
    kind: str | None = None
    team: str | None = None
    before: int | None = None
    id_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a job: recorded together with it, or not at all. `quota`: bytes its owner may store."""

    blob: StoredBlob
    quota: int | None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job of a request, and whether this very request made it (or an earlier one with the same key).

    `location`: where the upload's content lies. Another than the upload's own, or None, leaves that to be deleted.
    """

    job: Job
    new: bool
    location: str | None = None


class JobRecords:
    """Accepting, reading, listing, canceling and deleting. Everything is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(
        self,
        new: NewJob,
        idempotency: Idempotency | None,
        waiting_limit: int,
        upload: Upload | None = None,
        *,
        quota: int | None = None,
    ) -> Submitted:
        """Accept a job. Raises CheckpointNotFound, IdempotencyConflict, TooManyWaiting, StorageQuota.

        The file is recorded or checked and the job written in one transaction, so that no sweep comes between. `quota`,
        of a job that leaves files: what its owner may store. It is asked now, for what has run is kept.
        """

        def work(connection: Connection) -> Submitted:
            earlier = _earlier(connection, new, idempotency)
            if earlier is not None:
                return earlier
            stored = None
            if quota is not None:
                check_quota(connection, new.owner, 1, quota)
            if upload is not None:
                stored = record_blob(connection, upload.blob, new.owner, upload.quota)
            elif new.checkpoint is not None:
                use_blob(connection, new.checkpoint.sha256, new.owner)
            for sha256 in new.files:
                use_blob(connection, sha256, new.owner)
            if connection.execute(_WAITING, {"owner": new.owner}).scalar_one() >= waiting_limit:
                raise TooManyWaiting(
                    f"{waiting_limit} jobs are waiting already; wait until some have run, or cancel some."
                )
            connection.execute(_INSERT, columns_of(new))
            write_entry(connection, new.id, Event.QUEUED, f"{new.kind} job accepted")
            for sha256 in new.files:
                connection.execute(insert(job_files).values(job_id=new.id, sha256=sha256))
            if idempotency is not None:
                key = {"owner": new.owner, "key": idempotency.key, "fingerprint": idempotency.fingerprint}
                connection.execute(insert(idempotency_keys).values(**key, job_id=new.id, created_at=now()))
            return Submitted(_read(connection, new.id), new=True, location=None if stored is None else stored.location)

        return self._database.write_alone(work)

    def earlier(self, owner: str, idempotency: Idempotency) -> Job | None:
        """The job of an earlier request with this key. Raises IdempotencyConflict if that was another request."""
        return self._database.read(lambda connection: _with_key(connection, owner, idempotency))

    def read(self, job_id: str, *, with_result: bool = True) -> Job:
        """The job called `job_id`; without its result, `result` is None. Raises JobNotFound."""
        query = _BY_ID if with_result else _IN_BRIEF
        return self._database.read(lambda connection: _read(connection, job_id, query))

    def result(self, job_id: str) -> str | None:
        """The result of a job, None if it has none. Raises JobNotFound."""
        row = self._database.read(lambda connection: connection.execute(_RESULT, {"job_id": job_id}).first())
        if row is None:
            raise _not_found(job_id)
        result: str | None = row.result
        return result

    def log(self, job_id: str) -> tuple[LogEntry, ...]:
        """What happened to a job, the oldest first; nothing of one that is not there."""
        return self._database.read(lambda connection: read_log(connection, job_id))

    def files(self, job_id: str) -> tuple[str, ...]:
        """SHA-256s of what its settings name beside its checkpoint."""
        query = select(job_files.c.sha256).where(job_files.c.job_id == job_id).order_by(job_files.c.sha256)
        return tuple(self._database.read(lambda connection: connection.scalars(query).all()))

    def versions(self, job_ids: Collection[str]) -> dict[str, int]:
        """Versions of these jobs, for those who only want to know which of them changed."""
        query = select(jobs.c.id, jobs.c.version).where(jobs.c.id.in_(job_ids))
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {row.id: row.version for row in rows}

    def names(self, sha256: str, owner: str) -> bool:
        """Whether a job of `owner` was about this file, or made it."""
        return self._database.read(lambda connection: is_named(connection, sha256, owner))

    def list(self, wanted: Filter, limit: int) -> tuple[Job, ...]:
        """At most `limit` jobs, newest first. Results are left out: they are long, and a list is for looking over."""
        query = _WITHOUT_RESULT.where(*_conditions(wanted, self._database.is_sqlite))
        query = query.order_by(jobs.c.seq.desc()).limit(limit)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return tuple(map(job_of, rows))

    def cancel(self, job_id: str) -> Job:
        """A waiting job is canceled at once, a running one asked to stop; one that has ended stays as it is."""

        changes: dict[Status, dict[str, object]] = {
            Status.QUEUED: {"status": Status.CANCELED, "finished_at": now()},
            Status.RUNNING: {"status": Status.CANCELING},
        }

        def work(connection: Connection) -> Job:
            row = connection.execute(_BY_ID.with_for_update(), {"job_id": job_id}).first()  # claims and ends wait
            if row is not None and (change := changes.get(Status(row.status))) is not None:
                connection.execute(update(jobs).where(jobs.c.id == job_id).values(**change, version=row.version + 1))
                write_entry(connection, job_id, Event.CANCEL_ASKED, f"while {row.status}")
                if change["status"] is Status.CANCELED:
                    write_end(connection, job_id, Ending(Status.CANCELED))
            return _read(connection, job_id)

        return self._database.write(work)

    def delete(self, job_id: str, owner: str) -> Job:
        """Take back a job of `owner`'s that has ended, with its entry on the leaderboard; the job as it was.

        Files that no other job of the owner names are the owner's no more. Raises JobNotFound, JobNotEnded.
        """
        removed: list[Job] = []

        def work(connection: Connection) -> Job:
            row = connection.execute(_BY_ID.with_for_update(), {"job_id": job_id}).first()  # its end may be on its way
            if row is None and removed:
                return removed[0]  # by an earlier try whose connection broke
            if row is None or row.owner != owner:
                raise _not_found(job_id)
            job = job_of(row)
            if not job.status.final:
                raise JobNotEnded(f"job {job_id} is {job.status}: cancel it, and delete it when it has ended.")
            removed[:] = [job]
            remove_job(connection, job)
            return job

        return self._database.write_alone(work)

    def place(self, job: Job) -> int:
        """The place of this waiting job in the queue (see `places`), from 1."""
        return self._database.read(lambda connection: place(connection, job))

    def places(self, job_ids: Collection[str], most: int | None = None) -> dict[str, int]:
        """Places, by id, of those of these jobs that wait; of no jobs the records are not asked.

        With `most` there are none where more than so many wait: who asks again and again is not to order them all.
        """
        return self._database.read(lambda connection: places(connection, job_ids, most)) if job_ids else {}

    def forget_keys(self, days: float) -> int:
        """Forget the keys of requests older than `days`; how many. Their jobs stay."""
        old = delete(idempotency_keys).where(idempotency_keys.c.created_at < ago(days))
        return self._database.write(lambda connection: connection.execute(old).rowcount)

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Jobs by kind, lane and status, of all that have not ended."""
        alive = select(jobs.c.kind, jobs.c.lane, jobs.c.status, func.count()).where(jobs.c.status.in_(ALIVE))
        query = alive.group_by(jobs.c.kind, jobs.c.lane, jobs.c.status)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {(kind, lane, status): count for kind, lane, status, count in rows}


def _read(connection: Connection, job_id: str, query: Select[Any] = _BY_ID) -> Job:
    row = connection.execute(query, {"job_id": job_id}).first()
    if row is None:
        raise _not_found(job_id)
    return job_of(row)


def _not_found(job_id: str) -> JobNotFound:
    return JobNotFound(f"there is no job {job_id!r}; GET /jobs lists them.")


def _earlier(connection: Connection, new: NewJob, idempotency: Idempotency | None) -> Submitted | None:
    """The job this very request made before its connection broke, or one with the same key made."""
    if (row := _row(connection, new.id)) is not None:
        return Submitted(job_of(row), new=True, location=_location(connection, row.checkpoint_sha256))
    if idempotency is None or (job := _with_key(connection, new.owner, idempotency)) is None:
        return None
    sha256 = None if new.checkpoint is None else new.checkpoint.sha256
    return Submitted(job, new=False, location=_location(connection, sha256))


def _with_key(connection: Connection, owner: str, idempotency: Idempotency) -> Job | None:
    mine = (idempotency_keys.c.owner == owner) & (idempotency_keys.c.key == idempotency.key)
    used = connection.execute(select(idempotency_keys).where(mine)).first()
    if used is None:
        return None
    if used.fingerprint not in (idempotency.fingerprint, idempotency.former):
        raise IdempotencyConflict(
            "this Idempotency-Key came with another request before; use a new key for a new request."
        )
    row = _row(connection, used.job_id)
    return None if row is None else job_of(row)  # one that is deleted this moment takes its key with it


def _row(connection: Connection, job_id: str) -> Row[*tuple[Any, ...]] | None:
    return connection.execute(_BY_ID, {"job_id": job_id}).first()


def _location(connection: Connection, sha256: str | None) -> str | None:
    if sha256 is None:
        return None
    return connection.scalar(select(blobs.c.location).where(blobs.c.sha256 == sha256))


def _conditions(wanted: Filter, is_sqlite: bool) -> list[ColumnElement[bool]]:
    asked = {
        jobs.c.owner: wanted.owner,
        jobs.c.status: wanted.status,
        jobs.c.kind: wanted.kind,
        jobs.c.team: wanted.team,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in asked.items() if value is not None]
    if wanted.before is not None:
        conditions.append(jobs.c.seq < wanted.before)
    if wanted.id_prefix is not None:
        conditions.append(jobs.c.seq.in_(_beginning(wanted.id_prefix, is_sqlite)))
    return conditions


def _beginning(id_prefix: str, is_sqlite: bool) -> Select[int]:
    """The `seq` of jobs whose ids begin so, found by an index of ids, whoever's they are.

    SQLite finds a range of its index, but none by LIKE. PostgreSQL sorts by the language of the database, in which no
    range may hold what begins alike (Danish has `aa` after `z`): it has an index for LIKE.
    """
    others = jobs.alias()
    after_all = f"{id_prefix}g"  # digits of ids are hexadecimal
    begins = others.c.id.between(id_prefix, after_all) if is_sqlite else others.c.id.like(f"{id_prefix}%")
    return select(others.c.seq).where(begins)
