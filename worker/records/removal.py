"""What goes with a job that is taken back: all that the records say of it, as a part of one transaction.

Of its files it only lets go. What no other job of its owner names is not the owner's any more, counts against no quota,
and goes with the next sweep if nobody else holds it. What a job wrote down to go on from is swept as ever.
"""

from sqlalchemy import Connection, Text, bindparam, delete, func, select, update

from micronet.jobs import JOBS
from worker.records.tables import holdings, idempotency_keys, job_files, job_log, jobs, scores
from worker.records.values import Job

_WITHOUT_FILES = tuple(kind for kind, row in JOBS.items() if not row.leaves_files)
"""Kinds whose many jobs, with long results, need not be looked through for artifacts."""
_NAMED, _OWNER = bindparam("sha256", type_=Text), bindparam("owner", type_=Text)
_FEW = select(jobs.c.seq).where(func.coalesce(jobs.c.owner, "") == _OWNER)  # found by the file: an index of owners
_ALL = select(jobs.c.seq).where(jobs.c.owner == _OWNER)  # of an open server has every job there is
_WAYS_TO_NAME = (
    _FEW.where(jobs.c.checkpoint_sha256 == _NAMED).limit(1),
    _FEW.where(jobs.c.id.in_(select(job_files.c.job_id).where(job_files.c.sha256 == _NAMED))).limit(1),
    _ALL.where(jobs.c.kind.not_in(_WITHOUT_FILES), jobs.c.artifacts.contains(_NAMED)).limit(1),
)


def remove_job(connection: Connection, job: Job) -> None:
    """Remove a job that has ended, and its entry on the leaderboard. No writer may run beside this one."""
    files = {*connection.scalars(select(job_files.c.sha256).where(job_files.c.job_id == job.id))}
    files |= {file.sha256 for file in (job.checkpoint, *job.artifacts) if file is not None}
    _pass_on_turn(connection, job)
    for table in (job_log, job_files, scores):
        connection.execute(delete(table).where(table.c.job_id == job.id))
    keys = idempotency_keys.c
    connection.execute(delete(idempotency_keys).where(keys.owner == job.owner, keys.job_id == job.id))
    connection.execute(delete(jobs).where(jobs.c.seq == job.seq))
    for sha256 in files:
        _let_go(connection, sha256, job.owner)


def _pass_on_turn(connection: Connection, job: Job) -> None:
    """Its team was served when it was: who takes back what has run is not served sooner for that."""
    own = connection.execute(select(jobs.c.turn, jobs.c.party).where(jobs.c.seq == job.seq)).one()
    if own.turn is None:
        return
    other = select(jobs.c.seq).where(jobs.c.party == own.party, jobs.c.seq != job.seq).limit(1).scalar_subquery()
    sooner = update(jobs).where(jobs.c.seq == other, func.coalesce(jobs.c.turn, 0) < own.turn)
    connection.execute(sooner.values(turn=own.turn))


def _let_go(connection: Connection, sha256: str, owner: str) -> None:
    """The file is not the owner's any more, unless a job of his names it."""
    asked = {"sha256": sha256, "owner": owner}
    if not any(connection.execute(way, asked).first() for way in _WAYS_TO_NAME):
        connection.execute(delete(holdings).where(holdings.c.owner == owner, holdings.c.sha256 == sha256))
