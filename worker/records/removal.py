"""Deleting a job: all that the records say of it goes, as a part of one transaction.

Of its files it only lets go. What no other job of its owner names is not the owner's any more, counts against no quota,
and goes with the next sweep if nobody else holds it. What a job wrote down to go on from is swept as ever.
"""

from sqlalchemy import Connection, delete, func, select, update

from worker.records.holding import let_go
from worker.records.naming import is_named
from worker.records.tables import idempotency_keys, job_artifacts, job_files, job_log, jobs, scores
from worker.records.values import Job


def remove_job(connection: Connection, job: Job) -> None:
    """Remove a job that has ended, and its entry on the leaderboard. No writer may run beside this one."""
    files = {*connection.scalars(select(job_files.c.sha256).where(job_files.c.job_id == job.id))}
    files |= {file.sha256 for file in (job.checkpoint, *job.artifacts) if file is not None}
    _pass_on_turn(connection, job)
    for table in (job_log, job_files, job_artifacts, scores):
        connection.execute(delete(table).where(table.c.job_id == job.id))
    keys = idempotency_keys.c
    connection.execute(delete(idempotency_keys).where(keys.owner == job.owner, keys.job_id == job.id))
    connection.execute(delete(jobs).where(jobs.c.seq == job.seq))
    for sha256 in files:
        if not is_named(connection, sha256, job.owner):
            let_go(connection, sha256, job.owner)


def _pass_on_turn(connection: Connection, job: Job) -> None:
    """Its team was served when it was: who takes back what has run is not served sooner for that.

    Another job of the team keeps its turn. Who takes back the last one comes as a team that has never been served.
    """
    own = connection.execute(select(jobs.c.turn, jobs.c.party).where(jobs.c.seq == job.seq)).one()
    if own.turn is None:
        return
    other = select(jobs.c.seq).where(jobs.c.party == own.party, jobs.c.seq != job.seq).limit(1).scalar_subquery()
    sooner = update(jobs).where(jobs.c.seq == other, func.coalesce(jobs.c.turn, 0) < own.turn)
    connection.execute(sooner.values(turn=own.turn))
