"""Numbers of all jobs together, for who watches a server."""

from datetime import UTC, datetime

from sqlalchemy import case, func, literal, select

from worker.records.database import Database
from worker.records.tables import BROKEN_OFF, job_log, jobs
from worker.records.values import FINAL, Event, Status


def ended_jobs(database: Database) -> dict[tuple[str, str], int]:
    """Jobs that have ended and were not deleted, by status and by whose the failure is to mend.

    That is "true" where it is the sender's, as in the job's error, else "false"; "" of those that did not fail.
    """
    status = jobs.c.status
    well = select(status, literal(""), func.count()).where(status.in_(FINAL - {Status.FAILED})).group_by(status)
    yours = case((jobs.c.error.contains('"yours":true'), "true"), else_="false").label("yours")
    failed = select(literal(Status.FAILED.value), yours, func.count()).where(status == Status.FAILED).group_by("yours")
    # Two, for an index alone answers the first: results are long, and rows that have one are slow to read.
    rows = database.read(lambda connection: [*connection.execute(well), *connection.execute(failed)])
    return {(ended, whose): count for ended, whose, count in rows}


def attempts_broken_off(database: Database) -> dict[str, int]:
    """Attempts that did not come to an end, as the logs of jobs tell that were not deleted, by the event they tell of.

    `lost`: with a worker that gave no sign of life; `given-back`: by one that lives, and could not go on.
    """
    counted = select(job_log.c.event, func.count().label("attempts")).where(BROKEN_OFF).group_by(job_log.c.event)
    rows = database.read(lambda connection: connection.execute(counted).all())
    none = dict.fromkeys((Event.LOST.value, Event.GIVEN_BACK.value), 0)
    return none | {row.event: row.attempts for row in rows}


def longest_waits(database: Database) -> dict[str, float]:
    """By lane, the seconds since the job was accepted that has waited longest; no lane in which none waits."""
    waiting = select(jobs.c.lane, func.min(jobs.c.created_at)).where(jobs.c.status == Status.QUEUED)
    rows = database.read(lambda connection: connection.execute(waiting.group_by(jobs.c.lane)).all())
    present = datetime.now(UTC)
    return {lane: max(0.0, (present - datetime.fromisoformat(since)).total_seconds()) for lane, since in rows}
