"""Measured scores, as the leaderboard sorts and filters them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from micronet.contract import ScoreResult
from worker.records.clock import now
from worker.records.database import Database
from worker.records.tables import scores
from worker.records.values import Ending, Job

SortKey = Literal["score", "storage", "math", "top1", "team", "name", "date"]

_COLUMNS: Mapping[SortKey, str] = {
    "score": "score",
    "storage": "storage_score",
    "math": "math_score",
    "top1": "correct",
    "team": "team",
    "name": "name",
    "date": "finished_at",
}


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """Which entries; None asks nothing. Ranks are those of the track, policy and team asked for."""

    track: str
    policy: str | None = None
    team: str | None = None
    qualifies: bool | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """How a board is sorted; ties by merit."""

    by: SortKey = "score"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A measured score. `rank`: by score among the qualifying entries, from 1; None for those under the floor."""

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
    param_bits: int | None
    mul_bits: int | None
    scorer_version: str
    finished_at: str


class Scores:
    """Reading the leaderboard."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, wanted: BoardFilter, order: Order, offset: int, limit: int) -> tuple[tuple[Entry, ...], int]:
        """A part of a track's board, and how many entries there are in all. `limit` 0: only how many."""
        merit = (scores.c.qualifies.desc(), scores.c.score, scores.c.finished_at, scores.c.job_id)
        places = func.row_number().over(order_by=merit).label("place")
        board = select(scores, places).where(*_of_board(wanted)).subquery()
        chosen = (
            select(board) if wanted.qualifies is None else select(board).where(board.c.qualifies == wanted.qualifies)
        )
        column = board.c[_COLUMNS[order.by]]
        sorting = (column.desc() if order.descending else column).nulls_last()  # databases differ where it is not said
        page = chosen.order_by(sorting, board.c.place).offset(offset).limit(limit)

        def work(connection: Connection) -> tuple[tuple[Entry, ...], int]:
            rows = connection.execute(page).mappings().all()
            return tuple(map(_entry, rows)), connection.scalar(select(func.count()).select_from(chosen.subquery())) or 0

        return self._database.read(work)


def score_row(job: Job, ending: Ending) -> dict[str, object] | None:
    """The row of a measured score; None for other jobs and for counts without accuracy."""
    if job.kind != "score" or ending.result is None or job.checkpoint is None:
        return None
    result = ScoreResult.model_validate_json(ending.result)
    if result.accuracy is None:
        return None
    bits = json.loads(job.settings).get("bits") or {}
    return {
        "job_id": job.id,
        "track": result.track,
        "policy": result.policy,
        "team": job.team,
        "name": job.name,
        "sha256": job.checkpoint.sha256,
        "correct": result.accuracy.correct,
        "images": result.accuracy.total,
        "qualifies": result.qualifies,
        "score": result.score.total,
        "storage_score": result.score.storage,
        "math_score": result.score.math,
        "parameters": result.storage.parameters,
        "nonzero": result.storage.nonzero,
        "param_bits": bits.get("param_bits"),
        "mul_bits": bits.get("mul_bits"),
        "scorer_version": result.scorer.version,
        "finished_at": now(),
    }


def _entry(row: RowMapping) -> Entry:
    values = dict(row)
    place = values.pop("place")
    return Entry(rank=place if values["qualifies"] else None, **values)


def _of_board(wanted: BoardFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [scores.c.track == wanted.track]
    if wanted.policy is not None:
        conditions.append(scores.c.policy == wanted.policy)
    if wanted.team is not None:
        conditions.append(scores.c.team == wanted.team)
    return conditions
