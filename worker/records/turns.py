"""Whose turn it is: the team's with the fewest jobs running in that lane, then served longest ago, then the oldest job.

Lanes are counted apart: who trains for a week waits for the next slot to train on, and for none that has a small score.
"""

from collections.abc import Mapping
from functools import cache

from sqlalchemy import ColumnElement, Select, Subquery, bindparam, func, select

from worker.records.tables import jobs
from worker.records.values import HELD, Job, NewJob, Status


def party_of(job: Job | NewJob) -> str:
    """Who takes turns: the team, or everybody without one together."""
    return job.owner or job.team or ""


def parties(*waiting: ColumnElement[bool]) -> Subquery:
    """Who has jobs that wait, and are `waiting` so, in a lane: `lane`, `party`, how many `jobs`, the `first` of them,
    how many of his are `held` in that lane, and when he was `served` last, in any.
    """
    columns, count = (jobs.c.lane, jobs.c.party), func.count().label("jobs")
    queued = select(*columns, count, func.min(jobs.c.seq).label("first")).where(jobs.c.status == Status.QUEUED)
    theirs = queued.where(*waiting).group_by(*columns).subquery()
    # from the few that are held; the jobs of a party are all it ever sent
    held = select(*columns, count).where(jobs.c.status.in_(HELD)).group_by(*columns).subquery()
    others = jobs.alias()
    served = select(func.coalesce(func.max(others.c.turn), 0)).where(others.c.party == theirs.c.party).scalar_subquery()
    query = select(theirs, func.coalesce(held.c.jobs, 0).label("held"), served.label("served"))
    same = (held.c.lane == theirs.c.lane) & (held.c.party == theirs.c.party)
    return query.outerjoin_from(theirs, held, same).subquery()


_ASKED: Mapping[str, ColumnElement[bool]] = {
    "lanes": jobs.c.lane.in_(bindparam("lanes", expanding=True)),
    "kinds": jobs.c.kind.in_(bindparam("kinds", expanding=True)),
    "without": jobs.c.id.not_in(bindparam("without", expanding=True)),
}


@cache  # making it takes longer than running it
def next_in_turn(*asked: str) -> Select[int]:
    """The `seq` of the job whose turn it is, among those of `lanes`, of `kinds`, `without` those ids: as is `asked`."""
    them = parties(*(_ASKED[name] for name in asked)).c
    return select(them.first).order_by(them.held, them.served, them.first).limit(1)
