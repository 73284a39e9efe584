"""Places in the queue: how many jobs are started before a waiting one, plus one, while teams take turns.

Within a lane comes everybody's first job, then everybody's second, and so on; those that a team has running there count
as its first ones. In each such round come first those who have the most running, who come in no round before it, then
who was served longest ago: claims take turns so, if no job ends meanwhile.
"""

from collections.abc import Collection

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, Subquery, Text, bindparam, case, func, select

from worker.records.tables import jobs
from worker.records.turns import parties, party_of
from worker.records.values import Job, Status


def place(connection: Connection, job: Job) -> int:
    """The place of one waiting job, from 1, without putting in order all that wait."""
    where = {"lane": job.lane, "party": party_of(job), "seq": job.seq}
    return int(connection.execute(_PLACE, where).scalar() or 1)  # none if it was claimed meanwhile


def places(connection: Connection, job_ids: Collection[str], most: int | None = None) -> dict[str, int]:
    """Places, by id, of those of these jobs that wait. Where none does, none that waits is put in order.

    All that wait are, else: with `most` there are no places where more than so many do.
    """
    query = select(jobs.c.id).where(jobs.c.id.in_(job_ids), _WAITING)
    waiting = connection.scalars(query).all()
    if waiting and most is not None and connection.scalar(_BEYOND, {"most": most}) is not None:
        return {}
    rows = connection.execute(_PLACES, {"ids": waiting}).all() if waiting else ()
    return {row.id: row.place for row in rows}


def _place() -> Select[int]:
    """Its number among its team's, and of each other team as many as come in the rounds before."""
    lane, party = bindparam("lane", type_=Text), bindparam("party", type_=Text)
    seq = bindparam("seq", type_=BigInteger)
    mine = select(func.count()).where(_WAITING, jobs.c.lane == lane, jobs.c.party == party, jobs.c.seq <= seq)
    number = mine.scalar_subquery()
    here = select(_in_round(jobs.c.lane == lane)).cte()
    own, other = here.alias(), here.alias()
    rounds = number + own.c.held - other.c.held - case((other.c.rank < own.c.rank, 0), else_=1)
    sooner = case((rounds < 0, 0), (rounds > other.c.jobs, other.c.jobs), else_=rounds)
    query = select(number + func.coalesce(func.sum(sooner), 0)).where(own.c.party == party)
    return query.outerjoin_from(own, other, other.c.party != own.c.party).group_by(own.c.party)


def _places() -> Select[tuple[str, int]]:
    here = _in_round()
    number = func.row_number().over(partition_by=(jobs.c.lane, jobs.c.party), order_by=jobs.c.seq).label("number")
    waiting = select(jobs.c.id, jobs.c.lane, jobs.c.party, number).where(_WAITING).subquery()
    order = (here.c.held + waiting.c.number, here.c.rank)
    nth = func.row_number().over(partition_by=waiting.c.lane, order_by=order).label("place")
    theirs = (here.c.lane == waiting.c.lane) & (here.c.party == waiting.c.party)
    ordered = select(waiting.c.id, nth).join_from(waiting, here, theirs).subquery()
    return select(ordered).where(ordered.c.id.in_(bindparam("ids", expanding=True)))


def _in_round(*waiting: ColumnElement[bool]) -> Subquery:
    """Teams as `parties` has them, with their `rank` within a round of their lane."""
    them = parties(*waiting)
    order = (them.c.held.desc(), them.c.served, them.c.first)
    return select(them, func.row_number().over(partition_by=them.c.lane, order_by=order).label("rank")).subquery()


_WAITING = jobs.c.status == Status.QUEUED
_BEYOND = select(jobs.c.seq).where(_WAITING).limit(1).offset(bindparam("most"))
"""One that waits beside so many others, in no order."""
_PLACE, _PLACES = _place(), _places()  # made once: making them takes as long as running them
