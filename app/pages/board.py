"""The first page: the leaderboard of a track, and its picture."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.http.access import Caller, CallerDep
from app.http.errors import InvalidRequest
from app.http.problems import Fault
from app.http.site import Site, SiteDep
from app.pages.board_csv import csv_of
from app.pages.board_query import BOTH, PAGE_SIZE, POLICIES, BoardQuery, board_query, usual_policy
from app.pages.drawings.front import draw_front
from app.pages.rendering import render
from app.pages.routing import page_router
from micronet.tracks import Published, Track, tracks
from worker.records.board_filters import BoardFilter
from worker.records.points import Point
from worker.records.scores import Entry, SortKey

CSV = "/leaderboard.csv"
_MOST_POINTS = 300
_MOST_UNDER = 20
_COLUMNS: Sequence[tuple[str, SortKey | None]] = (
    ("Rank", None),
    ("Name", "name"),
    ("Score", "score"),
    ("Top-1", "top1"),
    ("Margin", "margin"),
    ("Team", "team"),
    ("Storage", "storage"),
    ("Math", "math"),
    ("Bits w / a", "bits"),
    ("Sparsity", "sparsity"),
    ("Policy", "policy"),
    ("Scorer", "version"),
    ("Date (UTC)", "date"),
)
_HINTS: Mapping[str, str] = {
    "Bits w / a": "weights / activations: as the settings declare them; where they declare none, of the widest "
    "parameter (under challenge, of the widest weights) and of the widest values that enter a dot product",
}
"""What the head of a column has no room for."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the records have for a view. `elsewhere`: entries asked for under policies that it does not show."""

    qualified: tuple[Entry, ...]
    total: int
    following: Entry | None
    under: tuple[Entry, ...]
    under_total: int
    elsewhere: Mapping[str, int]
    front: tuple[Point, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a column; `address` sorts by it, `hint` says more of it."""

    text: str
    address: str | None
    sorted: str | None
    hint: str | None = None


def board_router() -> APIRouter:
    """The first page, and the same as a file for spreadsheets."""
    router = page_router()
    router.add_api_route("/", _page, methods=["GET", "HEAD"], name="board_page")
    router.add_api_route(CSV, _csv, methods=["GET", "HEAD"], name="board_csv")
    return router


async def _page(request: Request, site: SiteDep, caller: CallerDep) -> Response:
    """Entries that reach the floor by rank, those under it apart, published results between them."""
    query = board_query(request)
    known = await site.files.run(tracks, site.services.settings.data)
    chosen = _chosen(known, query.track)
    query, found = await site.database.run(_find, site, query)
    published = [row for row in chosen.published if not query.ranked or row.policy == query.policy]
    rows = _with_published(query, found, published)
    return render(
        request,
        "board.html",
        query=query,
        track=chosen,
        tracks=known.values(),
        policies=(*POLICIES, BOTH),
        headings=[_heading(query, text, key) for text, key in _COLUMNS],
        rows=rows,
        published=[row for row in published if row not in rows],
        found=found,
        pages=-(-found.total // PAGE_SIZE),
        drawing=draw_front(found.points, found.front, chosen, published),
        comparable=_comparable(site, caller, found),
        csv=query.address(CSV),
    )


def _comparable(site: Site, caller: Caller, found: Found) -> frozenset[str]:
    """Jobs of those entries shown that are the caller's: two of them compare layer by layer; of fewer, none."""
    shown = (*found.qualified, *found.under)
    own = frozenset(entry.job_id for entry in shown if site.open_access or entry.team == caller.team)
    return own if len(own) > 1 else frozenset()


def _chosen(known: Mapping[str, Track], name: str) -> Track:
    if name not in known:
        detail = f"there is no track {name!r}; there are {', '.join(known)}."
        raise InvalidRequest([Fault(detail=detail, parameter="track")])
    return known[name]


def _find(site: Site, query: BoardQuery) -> tuple[BoardQuery, Found]:
    """The view with its policy, and what it shows. The entries of the track are counted once, where that is enough."""
    scores = site.services.records.scores
    if query.narrowed:
        query = _with_policy(site, query)
    counts = scores.counts(replace(query.filter(None), policy=None))
    if query.policy is None:
        query = replace(query, policy=usual_policy(counts))
    policies = [policy for policy in POLICIES if not query.ranked or policy == query.policy]
    others = {policy: counts[policy, True] + counts[policy, False] for policy in POLICIES if policy not in policies}
    total, under_total = (sum(counts[policy, qualifies] for policy in policies) for qualifies in (True, False))
    qualified = scores.page(query.filter(True), query.order, query.offset, PAGE_SIZE + 1)
    under = scores.page(query.filter(False), query.order, 0, _MOST_UNDER)
    following = qualified[PAGE_SIZE] if len(qualified) > PAGE_SIZE else None
    front = scores.front(query.filter(True)) if query.ranked else ()
    points = scores.points(query.filter(None), _MOST_POINTS)
    elsewhere = {policy: count for policy, count in others.items() if count}
    return query, Found(qualified[:PAGE_SIZE], total, following, under, under_total, elsewhere, front, points)


def _with_policy(site: Site, query: BoardQuery) -> BoardQuery:
    """The view, with the policy that most entries of the track have if it does not say one."""
    if query.policy is not None:
        return query
    return replace(query, policy=usual_policy(site.services.records.scores.counts(BoardFilter(query.track))))


def _heading(query: BoardQuery, text: str, key: SortKey | None) -> Heading:
    if key is None:
        return Heading(text if query.team is None else f"{text} in team", None, None)
    direction = "descending" if query.descending else "ascending"
    return Heading(text, query.sorted_by(key).address(), direction if key == query.sort else None, _HINTS.get(text))


def _with_published(query: BoardQuery, found: Found, published: Sequence[Published]) -> list[Entry | Published]:
    """Entries with published results between them where they are sorted by score; without, where they are not."""
    rows: list[Entry | Published] = list(found.qualified)
    beyond = query.page > 1 and not found.qualified
    if query.sort != "score" or query.team or query.search or beyond:
        return rows
    scores = [entry.score for entry in (*found.qualified, *filter(None, (found.following,)))]
    best, worst = (-inf, inf) if not scores else (min(scores), max(scores))
    first, last = query.page == 1, found.following is None
    if query.descending:
        first, last = last, first
    low, high = -inf if first else best, inf if last else worst
    rows += [row for row in published if low <= row.score < high]
    return sorted(rows, key=lambda row: row.score, reverse=query.descending)


async def _csv(request: Request, site: SiteDep, caller: CallerDep) -> Response:
    """Every entry of the view."""
    query = board_query(request)
    known = await site.files.run(tracks, site.services.settings.data)
    chosen = _chosen(known, query.track)
    query = await site.database.run(_with_policy, site, query)
    text = await site.database.run(_csv_text, site, query, chosen)
    name = f'attachment; filename="leaderboard-{chosen.name}.csv"'
    return Response(text, headers={"Content-Disposition": name}, media_type="text/csv; charset=utf-8")


def _csv_text(site: Site, query: BoardQuery, chosen: Track) -> str:
    entries = site.services.records.scores.page(query.filter(None), query.order, 0, sys.maxsize)
    return csv_of(entries, chosen, query.ranked)
