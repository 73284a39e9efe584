"""Where a measured score stands: of how many it is the nth, and what its team had reached before."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, true

from worker.records.database import Database
from worker.records.points import POINT, Point
from worker.records.scores import Entry
from worker.records.tables import MERIT, scores


@dataclass(frozen=True, slots=True)
class Standing:
    """`among`: entries of its track and policy that qualify. `before`: the best of those of its team that were measured
    before it and qualify; None where there is none, and for entries of no team.
    """

    entry: Entry
    among: int
    before: Point | None


class Standings:
    """Reading of scores what their own team wants to know."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, entry: Entry) -> Standing:
        """Where an entry stands."""
        board = (scores.c.track == entry.track, scores.c.policy == entry.policy, scores.c.qualifies == true())
        total = select(func.count()).select_from(scores).where(*board)
        earlier = (scores.c.team == entry.team, scores.c.finished_at < entry.finished_at)
        best = select(*POINT).where(*board, *earlier).order_by(*MERIT).limit(1)

        def work(connection: Connection) -> Standing:
            before = None if entry.team is None else connection.execute(best).first()
            return Standing(entry, connection.scalar(total) or 0, None if before is None else Point(*before))

        return self._database.read(work)

    def measured(self, job_ids: Collection[str]) -> dict[str, Point]:
        """What those of these jobs that measured a score came to."""
        query = select(*POINT).where(scores.c.job_id.in_(job_ids))
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {row.job_id: Point(*row) for row in rows}
