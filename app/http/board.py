"""The leaderboard: every measured score of every team."""

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from app.http.access import CallerDep
from app.http.errors import InvalidRequest
from app.http.problems import Fault
from app.http.routing import api_router
from app.http.site import SiteDep
from micronet.contract import Accuracy, Name, ScoreTerms
from micronet.contract.values import UNPRINTABLE, in_words
from micronet.tracks import track as find_track
from worker.errors import JobNotFound
from worker.records.board_filters import BoardFilter
from worker.records.scores import Entry, Order, SortKey

_CURSOR = "b"
"""Before the job of a page's last entry: a place in the order that stays, whatever is measured meanwhile."""
Cursor = Annotated[
    str | None,
    Query(pattern=f"^{_CURSOR}[0-9a-f]{{32}}$", description="from `next` of the page before"),
    in_words("needs what `next` of the page before has"),
]
Search = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        pattern=rf"^[^{UNPRINTABLE}]+$",
        description="what team or name must contain, in letters of either case",
    ),
    in_words("needs printable characters"),
]
Limit = Annotated[int, Query(ge=1, le=100)]


class BoardEntry(BaseModel):
    """A measured score. `rank` is by score among those that qualify; null for those under the floor, and for all where
    no policy was asked for: scores of two do not compare.

    `sparsity` is the share of the parameters that are zero. `param_bits` and `mul_bits` are the `widths` of the
    result: those that the settings declare; where they declare none, those that the file brings, as its policy has
    them; null in entries from before that was kept.
    """

    rank: int | None
    job: str
    team: str | None
    name: str | None
    track: str
    policy: str
    accuracy: Accuracy
    qualifies: bool
    score: ScoreTerms
    parameters: int
    nonzero: int
    sparsity: float = Field(ge=0, le=1)
    param_bits: int | None
    mul_bits: int | None
    checkpoint_sha256: str
    scorer_version: str
    finished_at: str = Field(json_schema_extra={"format": "date-time"})


class Board(BaseModel):
    """A page of a track's board, how many entries there are in all, and the address of the page after it."""

    track: str
    entries: list[BoardEntry]
    total: int
    next: str | None


def board_router() -> APIRouter:
    """The route of the leaderboard."""
    router = api_router("leaderboard")
    router.add_api_route("/leaderboard", _board, methods=["GET"], name="leaderboard")
    return router


async def _board(
    site: SiteDep,
    caller: CallerDep,
    *,
    track: Annotated[Name, Query()],
    policy: Literal["report", "challenge"] | None = None,
    team: Annotated[Name | None, Query()] = None,
    qualifies: bool | None = None,
    search: Search = None,
    sort: SortKey = "score",
    order: Literal["asc", "desc"] = "asc",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Board:
    """Scores of one track; sorted by score, those that qualify come before those under the floor.

    Ranks are those among the entries of this policy and team; without a policy, none are.
    """
    find_track(track, site.services.settings.data)
    try:
        found, total = await site.database.run(
            site.services.records.scores.entries,
            BoardFilter(track, policy, team, qualifies, search),
            Order(sort, descending=order == "desc"),
            0,
            limit + 1,
            cursor and cursor.removeprefix(_CURSOR),
        )
    except JobNotFound as error:
        detail = f"{error} Ask for what the page that it is from was of, or from the beginning."
        raise InvalidRequest([Fault(detail=detail, parameter="cursor")]) from error
    entries = found[:limit]
    among = {"track": track, "policy": policy, "team": team, "qualifies": qualifies, "search": search}
    asked = {**among, "sort": sort, "order": order}
    given = {name: str(value).lower() if value is True or value is False else value for name, value in asked.items()}
    query = {**given, "limit": limit, "cursor": f"{_CURSOR}{entries[-1].job_id}" if entries else None}
    address = "/leaderboard?" + urlencode({name: value for name, value in query.items() if value is not None})
    return Board(
        track=track,
        entries=[_entry(entry, ranked=policy is not None) for entry in entries],
        total=total,
        next=address if len(found) > limit else None,
    )


def _entry(entry: Entry, ranked: bool) -> BoardEntry:
    return BoardEntry(
        rank=entry.rank if ranked else None,
        job=entry.job_id,
        team=entry.team,
        name=entry.name,
        track=entry.track,
        policy=entry.policy,
        accuracy=Accuracy.of(entry.correct, entry.images),
        qualifies=entry.qualifies,
        score=ScoreTerms(storage=entry.storage_score, math=entry.math_score, total=entry.score),
        parameters=entry.parameters,
        nonzero=entry.nonzero,
        sparsity=entry.sparsity,
        param_bits=entry.param_bits,
        mul_bits=entry.mul_bits,
        checkpoint_sha256=entry.sha256,
        scorer_version=entry.scorer_version,
        finished_at=entry.finished_at,
    )
