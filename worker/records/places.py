"""Places in the queue: how many jobs are started before a waiting one, plus one, while teams take turns.

Within a lane comes everybody's first job, then everybody's second, and so on.
"""

from collections.abc import Collection

from sqlalchemy import BigInteger, Connection, Select, Text, bindparam, func, select

from worker.records.tables import jobs
from worker.records.turns import party_of
from worker.records.values import Job, Status


def place(connection: Connection, job: Job) -> int:
    """The place of one waiting job, from 1, without putting in order all that wait."""
    where = {"lane": job.lane, "party": party_of(job), "seq": job.seq}
    found: int = connection.execute(_PLACE, where).scalar_one()
    return max(found, 1)  # 0 if it was claimed meanwhile


def places(connection: Connection, job_ids: Collection[str], most: int | None = None) -> dict[str, int]:
    """Places, by id, of those of these jobs that wait. Where none does, none that waits is put in order.

    All that wait are, else: with `most` there are no places where more than so many do.
    """
    query = select(jobs.c.id).where(jobs.c.id.in_(job_ids), jobs.c.status == Status.QUEUED)
    waiting = connection.scalars(query).all()
    if waiting and most is not None and connection.scalar(_BEYOND, {"most": most}) is not None:
        return {}
    rows = connection.execute(_PLACES, {"ids": waiting}).all() if waiting else ()
    return {row.id: row.place for row in rows}


def _place() -> Select[int]:
    waiting = (jobs.c.status == Status.QUEUED) & (jobs.c.lane == bindparam("lane", type_=Text))
    party, seq = bindparam("party", type_=Text), bindparam("seq", type_=BigInteger)
    mine = select(func.count()).where(waiting, jobs.c.party == party, jobs.c.seq <= seq).scalar_subquery()
    turn = func.row_number().over(partition_by=jobs.c.party, order_by=jobs.c.seq).label("turn")
    others = select(jobs.c.seq, turn).where(waiting, jobs.c.party != party).subquery()
    sooner = (others.c.turn < mine) | ((others.c.turn == mine) & (others.c.seq < seq))
    return select(mine + select(func.count()).where(sooner).scalar_subquery())


def _places() -> Select[tuple[str, int]]:
    turn = func.row_number().over(partition_by=(jobs.c.lane, jobs.c.party), order_by=jobs.c.seq).label("turn")
    waiting = select(jobs.c.id, jobs.c.lane, jobs.c.seq, turn).where(jobs.c.status == Status.QUEUED).subquery()
    nth = func.row_number().over(partition_by=waiting.c.lane, order_by=(waiting.c.turn, waiting.c.seq))
    ordered = select(waiting.c.id, nth.label("place")).subquery()
    return select(ordered).where(ordered.c.id.in_(bindparam("ids", expanding=True)))


_BEYOND = select(jobs.c.seq).where(jobs.c.status == Status.QUEUED).limit(1).offset(bindparam("most"))
"""One that waits beside so many others, in no order."""
_PLACE, _PLACES = _place(), _places()  # made once: making them takes as long as running them
