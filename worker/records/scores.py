"""Measured scores, as the leaderboard sorts, ranks and pages them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    RowMapping,
    cast,
    false,
    func,
    literal,
    select,
    true,
)

from worker.errors import JobNotFound
from worker.records.board_filters import BoardFilter, asked_for, of_board
from worker.records.database import Database
from worker.records.points import Point, front, points
from worker.records.tables import MERIT, scores

SortKey = Literal[
    "score", "storage", "math", "top1", "margin", "bits", "sparsity", "team", "name", "policy", "version", "date"
]

_COLUMNS: Mapping[SortKey, tuple[str, ...]] = {
    "score": ("score",),
    "storage": ("storage_score",),
    "math": ("math_score",),
    "top1": ("correct",),
    "margin": ("correct",),  # above the floor, which is the same for all entries of a track
    "bits": ("param_bits", "mul_bits"),
    "sparsity": ("sparsity",),
    "team": ("team",),
    "name": ("name",),
    "policy": ("policy",),
    "version": ("scorer_version",),
    "date": ("finished_at",),
}


Counts = Counter[tuple[str, bool]]
"""Entries by policy and by whether they qualify."""


@dataclass(frozen=True, slots=True)
class Order:
    """How a board is sorted; ties by merit, and what has none of what is sorted by comes last.

    By score, in either direction, those that qualify come first: a network is worth nothing by being small alone.
    """

    by: SortKey = "score"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A measured score. `rank`: by score among the qualifying entries, from 1; None for those under the floor.

    `sparsity`: share of the parameters that are zero. `param_bits`, `mul_bits`: the `widths` of the
    result, None where it does not say.
    """

    job_id: str
    rank: int | None
    track: str
    policy: str
    team: str | None
    name: str | None
    sha256: str
    correct: int
    images: int
    qualifies: bool
    score: float
    storage_score: float
    math_score: float
    parameters: int
    nonzero: int
    sparsity: float
    param_bits: int | None
    mul_bits: int | None
    scorer_version: str
    finished_at: str


class Scores:
    """Reading the leaderboard."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(
        self, wanted: BoardFilter, order: Order, offset: int, limit: int, after: str | None = None
    ) -> tuple[tuple[Entry, ...], int]:
        """A part of a track's board, and how many entries there are in all.

        `after`: the job of the entry that it comes after, wherever that stands by now. Raises JobNotFound without one.
        """
        total = select(func.count()).select_from(scores).where(*of_board(wanted), *asked_for(wanted))

        def work(connection: Connection) -> tuple[tuple[Entry, ...], int]:
            page = _page(connection, wanted, order, offset=offset, limit=limit, after=after)
            return page, connection.scalar(total) or 0

        return self._database.read(work)

    def page(self, wanted: BoardFilter, order: Order, offset: int, limit: int) -> tuple[Entry, ...]:
        """A part of a track's board, by itself."""
        return self._database.read(lambda connection: _page(connection, wanted, order, offset=offset, limit=limit))

    def counts(self, wanted: BoardFilter) -> Counts:
        """How many entries there are, by policy and by whether they qualify."""
        by = (scores.c.policy, scores.c.qualifies)
        query = select(*by, func.count()).where(*of_board(wanted), *asked_for(wanted)).group_by(*by)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return Counter({(policy, qualifies): count for policy, qualifies, count in rows})

    def entry(self, job_id: str) -> Entry | None:
        """The entry of a job, its rank that on its track and policy; None where the job measured no score."""

        def work(connection: Connection) -> Entry | None:
            row = connection.execute(select(*_SHOWN).where(scores.c.job_id == job_id)).mappings().first()
            if row is None:
                return None
            return next(iter(_ranked(connection, BoardFilter(row["track"], row["policy"]), [row])), None)

        return self._database.read(work)

    def front(self, wanted: BoardFilter) -> tuple[Point, ...]:
        """The Pareto front (see `points.front`)."""
        return self._database.read(lambda connection: front(connection, wanted))

    def points(self, wanted: BoardFilter, most: int = 5000) -> tuple[Point, ...]:
        """All entries for a plot (see `points.points`)."""
        return self._database.read(lambda connection: points(connection, wanted, most))


_SPARSITY = func.coalesce(1.0 - cast(scores.c.nonzero, Float) / func.nullif(scores.c.parameters, 0), 0.0)
_SHOWN = (*(column for column in scores.c if column.name != "searched"), _SPARSITY.label("sparsity"))
_Key = tuple[ColumnElement[Any], bool]
"""A column that is sorted by, and whether that descends."""
_BY_MERIT: list[_Key] = [(scores.c.qualifies, True), *((column, False) for column in MERIT[1:])]
_FEW = 1000
"""Ranks of so many entries are asked for by their ids; of more, all ranks there are."""


def _sorting(order: Order) -> list[_Key]:
    """What a board is sorted by. No two entries have all of it in common."""
    columns = [_SPARSITY if name == "sparsity" else scores.c[name] for name in _COLUMNS[order.by]]
    first = [_BY_MERIT[0]] if order.by == "score" else []
    asked: list[_Key] = [(column, order.descending) for column in columns]
    return _BY_MERIT if order == Order() else [*first, *asked, *_BY_MERIT]


def _ordered(column: ColumnElement[Any], descending: bool) -> ColumnElement[Any]:
    """None last, where there may be any: databases differ where it is not said, and find no index where it is."""
    ordered = column.desc() if descending else column.asc()
    return ordered.nulls_last() if getattr(column, "nullable", False) else ordered


def _beyond(sorting: Sequence[_Key], seen: Sequence[Any]) -> ColumnElement[bool]:
    """What comes after an entry whose values of what is sorted by are `seen`."""
    beyond: ColumnElement[bool] = false()
    for (column, descending), value in reversed([*zip(sorting, seen, strict=True)]):
        if value is None:
            beyond = column.is_(None) & beyond
        else:
            here = literal(value, column.type)
            further = column < here if descending else column > here
            beyond = further | column.is_(None) | ((column == here) & beyond)
    return beyond


def _page(
    connection: Connection, wanted: BoardFilter, order: Order, *, offset: int, limit: int, after: str | None = None
) -> tuple[Entry, ...]:
    """`Scores.entries` as a part of a transaction. Whoever is nth of all by merit has the rank n: others' are found."""
    sorting, listed = _sorting(order), (*of_board(wanted), *asked_for(wanted))
    page = select(*_SHOWN).where(*listed).order_by(*(_ordered(*each) for each in sorting))
    if after is not None:
        here = select(*(column for column, _ in sorting)).where(*listed, scores.c.job_id == after)
        if (seen := connection.execute(here).first()) is None:
            raise JobNotFound(f"job {after!r} has no entry among these, or not any more.")
        page = page.where(_beyond(sorting, seen))
    rows = connection.execute(page.offset(offset).limit(limit)).mappings().all()
    if order == Order() and wanted.text is None and after is None:
        return tuple(_entry(row, nth) for nth, row in enumerate(rows, offset + 1))
    return _ranked(connection, wanted, rows)


def _ranked(connection: Connection, wanted: BoardFilter, rows: Sequence[RowMapping]) -> tuple[Entry, ...]:
    """Entries with their ranks among those of `wanted`, without what was deleted since they were read."""
    ids = [row["job_id"] for row in rows if row["qualifies"]]
    place = func.row_number().over(order_by=MERIT).label("place")
    places = select(scores.c.job_id, place).where(*of_board(wanted), scores.c.qualifies == true()).subquery()
    query = select(places) if len(ids) > _FEW else select(places).where(places.c.job_id.in_(ids))
    ranks = {row.job_id: row.place for row in connection.execute(query)} if ids else {}
    return tuple(
        _entry(row, ranks.get(row["job_id"])) for row in rows if not row["qualifies"] or row["job_id"] in ranks
    )


def _entry(row: RowMapping, place: int | None) -> Entry:
    return Entry(rank=place if row["qualifies"] else None, **row)
