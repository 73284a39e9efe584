"""Entries of a leaderboard as points of a plot: accuracy against score, and those that no other beats."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection, Float, cast, func, select

from worker.records.board_filters import BoardFilter, asked_for, of_board
from worker.records.tables import MERIT, scores


@dataclass(frozen=True, slots=True)
class Point:
    """What a plot needs of an entry."""

    job_id: str
    correct: int
    images: int
    score: float
    qualifies: bool
    policy: str
    name: str | None = None
    team: str | None = None


def front(connection: Connection, wanted: BoardFilter) -> tuple[Point, ...]:
    """The Pareto front, the lowest score first: entries for which no other that is asked for is better in accuracy or
    score and at least as good in the other.
    """
    accuracy = cast(scores.c.correct, Float) / scores.c.images
    # of those with a lower score, or the same and more correct answers: twins are no rivals
    order = (scores.c.score, accuracy.desc())
    rival = func.max(accuracy).over(order_by=order, groups=(None, -1)).label("rival")
    facts = (scores.c.job_id, accuracy.label("accuracy"), rival)
    among = select(*facts).where(*of_board(wanted), *asked_for(wanted)).subquery()
    shown = select(*POINT).join(among, among.c.job_id == scores.c.job_id)
    unbeaten = shown.where(among.c.rival.is_(None) | (among.c.accuracy > among.c.rival))
    query = unbeaten.order_by(scores.c.score, scores.c.qualifies.desc(), scores.c.finished_at, scores.c.job_id)
    return tuple(Point(*row) for row in connection.execute(query))


def points(connection: Connection, wanted: BoardFilter, most: int) -> tuple[Point, ...]:
    """All entries for a plot, those of the highest merit first; no more than `most`."""
    if wanted.qualifies is None:  # those that qualify come first: so an index has them in order
        best = points(connection, replace(wanted, qualifies=True), most)
        if len(best) >= most:
            return best
        return best + points(connection, replace(wanted, qualifies=False), most - len(best))
    query = select(*POINT).where(*of_board(wanted), *asked_for(wanted)).order_by(*MERIT).limit(most)
    return tuple(Point(*row) for row in connection.execute(query))


_FIELDS = ("job_id", "correct", "images", "score", "qualifies", "policy", "name", "team")
POINT = tuple(scores.c[name] for name in _FIELDS)
