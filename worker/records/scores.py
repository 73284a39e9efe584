"""Measured scores, as the leaderboard sorts, filters and draws them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    FromClause,
    RowMapping,
    Select,
    Subquery,
    cast,
    func,
    select,
    true,
)

from micronet.contract import ScoreResult, own_widths
from worker.errors import JobNotFound
from worker.records.clock import now
from worker.records.database import Database
from worker.records.tables import scores
from worker.records.values import Ending, Job

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


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """Which entries; None asks nothing. Ranks are those of the track, policy and team asked for.

    `text`: what team or name must contain, in letters of either case.
    """

    track: str
    policy: str | None = None
    team: str | None = None
    qualifies: bool | None = None
    text: str | None = None


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

    `sparsity`: share of the parameters that are zero. `param_bits`, `mul_bits`: as the settings declared them, else as
    `own_widths` has them.
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


@dataclass(frozen=True, slots=True)
class Point:
    """What a plot needs of an entry."""

    job_id: str
    correct: int
    images: int
    score: float
    qualifies: bool


class Scores:
    """Reading the leaderboard."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(
        self, wanted: BoardFilter, order: Order, offset: int, limit: int, after: str | None = None
    ) -> tuple[tuple[Entry, ...], int]:
        """A part of a track's board, and how many entries there are in all. `limit` 0: only how many.

        `after`: the job of the entry that it comes after, wherever that stands by now. Raises JobNotFound without one.
        """
        columns = [_SPARSITY if name == "sparsity" else scores.c[name] for name in _COLUMNS[order.by]]
        # databases differ where it is not said
        sorting = [(column.desc() if order.descending else column).nulls_last() for column in columns]
        if order.by == "score":
            sorting.insert(0, scores.c.qualifies.desc())
        places = _places(wanted)
        page = _entries(places).where(*_asked(wanted)).order_by(*sorting, places.c.place)
        if after is not None:
            nth = func.row_number().over(order_by=(*sorting, places.c.place)).label("nth")
            joined = select(*places.c, nth).join_from(scores, places, places.c.job_id == scores.c.job_id)
            listed = joined.where(*_asked(wanted)).cte("listed")
            seen = select(listed.c.nth).where(listed.c.job_id == after).scalar_subquery()
            page = _entries(listed).where(listed.c.nth > seen).order_by(listed.c.nth)
        here = select(scores.c.job_id).where(*_of_board(wanted), *_asked(wanted), scores.c.job_id == after)
        total = select(func.count()).select_from(scores).where(*_of_board(wanted), *_asked(wanted))

        def work(connection: Connection) -> tuple[tuple[Entry, ...], int]:
            rows = connection.execute(page.offset(offset).limit(limit)).mappings().all()
            if after is not None and connection.scalar(here) is None:  # asked last: an entry may be deleted meanwhile
                raise JobNotFound(f"job {after!r} has no entry among these, or not any more.")
            return tuple(map(_entry, rows)), connection.scalar(total) or 0

        return self._database.read(work)

    def entry(self, job_id: str) -> Entry | None:
        """The entry of a job, its rank that on its track and policy; None where the job measured no score."""

        def work(connection: Connection) -> Entry | None:
            own = connection.execute(select(scores.c.track, scores.c.policy).where(scores.c.job_id == job_id)).first()
            if own is None:
                return None
            query = _entries(_places(BoardFilter(own.track, own.policy))).where(scores.c.job_id == job_id)
            row = connection.execute(query).mappings().first()
            return None if row is None else _entry(row)

        return self._database.read(work)

    def front(self, wanted: BoardFilter) -> tuple[Entry, ...]:
        """The Pareto front, the lowest score first: entries than which no other that is asked for is better in accuracy
        or score and as good in the other.
        """
        accuracy = cast(scores.c.correct, Float) / scores.c.images
        asked = _asked(wanted)
        # of those with a lower score, or the same and more correct answers: twins are no rivals
        order = (scores.c.score, accuracy.desc())
        rival = func.max(accuracy).filter(true(), *asked).over(order_by=order, groups=(None, -1))
        places = _places(wanted, rival.label("rival"))
        unbeaten = places.c.rival.is_(None) | (accuracy > places.c.rival)
        query = _entries(places).where(*asked, unbeaten).order_by(scores.c.score, places.c.place)
        return tuple(map(_entry, self._database.read(lambda connection: connection.execute(query).mappings().all())))

    def points(self, wanted: BoardFilter, most: int = 5000) -> tuple[Point, ...]:
        """All entries for a plot, those of the highest merit first; no more than `most`."""
        shown = select(scores.c.job_id, scores.c.correct, scores.c.images, scores.c.score, scores.c.qualifies)
        query = shown.where(*_of_board(wanted), *_asked(wanted)).order_by(*_MERIT).limit(most)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return tuple(Point(*row) for row in rows)


def score_row(job: Job, ending: Ending) -> dict[str, object] | None:
    """The row of a measured score; None for other jobs and for counts without accuracy."""
    if job.kind != "score" or ending.result is None or job.checkpoint is None:
        return None
    result = ScoreResult.model_validate_json(ending.result)
    if result.accuracy is None:
        return None
    bits = json.loads(job.settings).get("bits")
    widths = own_widths(result.layers) if bits is None else (bits.get("param_bits"), bits.get("mul_bits"))
    return {
        "job_id": job.id,
        "track": result.track,
        "policy": result.policy,
        "team": job.team,
        "name": job.name,
        "searched": searched(job.team, job.name),
        "sha256": job.checkpoint.sha256,
        "correct": result.accuracy.correct,
        "images": result.accuracy.total,
        "qualifies": result.qualifies,
        "score": result.score.total,
        "storage_score": result.score.storage,
        "math_score": result.score.math,
        "parameters": result.storage.parameters,
        "nonzero": result.storage.nonzero,
        "param_bits": widths[0],
        "mul_bits": widths[1],
        "scorer_version": result.scorer.version,
        "finished_at": now(),
    }


def searched(team: str | None, name: str | None) -> str:
    """What a search looks in: it finds letters of either case, and nothing across the line's end."""
    return "\n".join(text.casefold() for text in (team, name) if text is not None)


_MERIT = (scores.c.qualifies.desc(), scores.c.score, scores.c.finished_at, scores.c.job_id)
_SPARSITY = func.coalesce(1.0 - cast(scores.c.nonzero, Float) / func.nullif(scores.c.parameters, 0), 0.0)
_SHOWN = [column for column in scores.c if column.name != "searched"]


def _places(wanted: BoardFilter, *facts: ColumnElement[Any]) -> Subquery:
    """The place by merit of every entry that ranks are given among, and other facts. Narrow, for it is put in order."""
    place = func.row_number().over(order_by=_MERIT).label("place")
    return select(scores.c.job_id, place, *facts).where(*_of_board(wanted)).subquery()


def _entries(places: FromClause) -> Select[*tuple[Any, ...]]:
    query = select(*_SHOWN, _SPARSITY.label("sparsity"), places.c.place)
    return query.join_from(scores, places, places.c.job_id == scores.c.job_id)


def _entry(row: RowMapping) -> Entry:
    values = dict(row)
    place = values.pop("place")
    return Entry(rank=place if values["qualifies"] else None, **values)


def _of_board(wanted: BoardFilter) -> list[ColumnElement[bool]]:
    """Among which entries ranks are given."""
    asked = {scores.c.track: wanted.track, scores.c.policy: wanted.policy, scores.c.team: wanted.team}
    return [column == value for column, value in asked.items() if value is not None]


def _asked(wanted: BoardFilter) -> list[ColumnElement[bool]]:
    """Which of these are asked for."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.qualifies is not None:
        conditions.append(scores.c.qualifies == wanted.qualifies)
    if wanted.text is not None:
        conditions.append(scores.c.searched.contains(wanted.text.casefold(), autoescape=True))
    return conditions
