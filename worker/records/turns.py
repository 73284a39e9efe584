"""Whose turn it is: the team with the fewest running jobs, then the one served longest ago, then the oldest job."""

from sqlalchemy import ColumnElement, Select, bindparam, func, select

from worker.records.tables import jobs
from worker.records.values import HELD, Job, NewJob, Status


def party_of(job: Job | NewJob) -> str:
    """Who takes turns: the team, or everybody without one together."""
    return job.owner or job.team or ""


def _next(*of_kinds: ColumnElement[bool]) -> Select[int]:
    first = (
        select(jobs.c.party, func.min(jobs.c.seq).label("seq"))
        .where(jobs.c.status == Status.QUEUED, jobs.c.lane.in_(bindparam("lanes", expanding=True)), *of_kinds)
        .group_by(jobs.c.party)
        .subquery()
    )
    held = select(jobs.c.party, func.count().label("jobs")).where(jobs.c.status.in_(HELD)).group_by(jobs.c.party)
    running = held.subquery()  # from the few that are held; the jobs of a party are all it ever sent
    others = jobs.alias()
    served = select(func.coalesce(func.max(others.c.turn), 0)).where(others.c.party == first.c.party).scalar_subquery()
    query = select(first.c.seq).outerjoin_from(first, running, running.c.party == first.c.party)
    return query.order_by(func.coalesce(running.c.jobs, 0), served, first.c.seq).limit(1)


NEXT = _next()  # made once: making it takes longer than running it
"""The `seq` of the job whose turn it is, among those of `lanes`."""
NEXT_OF_KINDS = _next(jobs.c.kind.in_(bindparam("kinds", expanding=True)))
"""As above, among those of `kinds` alone."""
