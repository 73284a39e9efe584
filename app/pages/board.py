"""The first page: the leaderboard of a track, and its picture."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.http.access import CallerDep
from app.http.site import Site, SiteDep
from app.pages.board_query import PAGE_SIZE, POLICIES, BoardQuery, board_query
from app.pages.drawings.front import draw_front
from app.pages.rendering import render
from app.pages.routing import page_router
from micronet.tracks import Published, Track, tracks
from micronet.tracks import track as find_track
from worker.records.scores import Entry, Point, SortKey

CSV = "/leaderboard.csv"
_MOST_POINTS = 300
_MOST_UNDER = 20
_MOST_IN_CSV = 100_000
_COLUMNS: Sequence[tuple[str, SortKey | None]] = (
    ("Rank", None),
    ("Team", "team"),
    ("Name", "name"),
    ("Top-1", "top1"),
    ("Margin", "margin"),
    ("Score", "score"),
    ("Storage", "storage"),
    ("Math", "math"),
    ("Bits w / a", "bits"),
    ("Sparsity", "sparsity"),
    ("Policy", "policy"),
    ("Scorer", "version"),
    ("Date (UTC)", "date"),
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Found:
    """What the records have for a view."""

    qualified: tuple[Entry, ...]
    total: int
    following: Entry | None
    under: tuple[Entry, ...]
    under_total: int
    front: tuple[Entry, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a column; `address` sorts by it."""

    text: str
    address: str | None
    sorted: str | None


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
    chosen = find_track(query.track, site.services.settings.data)
    found = await site.database.run(_find, site, query)
    published = sorted(chosen.published, key=lambda row: row.score)
    return render(
        request,
        "board.html",
        query=query,
        track=chosen,
        tracks=known.values(),
        policies=POLICIES,
        headings=[_heading(query, text, key) for text, key in _COLUMNS],
        rows=_with_published(query, found, published),
        found=found,
        pages=-(-found.total // PAGE_SIZE),
        drawing=draw_front(found.points, found.front, chosen, published),
        team=caller.team,
        csv=query.address(CSV),
    )


def _find(site: Site, query: BoardQuery) -> Found:
    scores = site.services.records.scores
    qualified, total = scores.entries(query.filter(True), query.order, query.offset, PAGE_SIZE + 1)
    under, under_total = scores.entries(query.filter(False), query.order, 0, _MOST_UNDER)
    following = qualified[PAGE_SIZE] if len(qualified) > PAGE_SIZE else None
    everything = query.filter(None)
    front, points = scores.front(query.filter(True)), scores.points(everything, _MOST_POINTS)
    return Found(qualified[:PAGE_SIZE], total, following, under, under_total, front, points)


def _heading(query: BoardQuery, text: str, key: SortKey | None) -> Heading:
    if key is None:
        return Heading(text, None, None)
    direction = "descending" if query.descending else "ascending"
    return Heading(text, query.sorted_by(key).address(), direction if key == query.sort else None)


def _with_published(query: BoardQuery, found: Found, published: Sequence[Published]) -> list[Entry | Published]:
    """Entries with published results between them where they are sorted by score; without, where they are not."""
    rows: list[Entry | Published] = list(found.qualified)
    if query.sort != "score" or query.team or query.search:
        return rows
    scores = [entry.score for entry in (*found.qualified, *filter(None, (found.following,)))]
    best, worst = (-float("inf"), float("inf")) if not scores else (min(scores), max(scores))
    first, last = query.page == 1, found.following is None
    if query.descending:
        first, last = last, first
    low = -float("inf") if first else best
    high = float("inf") if last else worst
    rows += [row for row in published if low <= row.score < high]
    return sorted(rows, key=lambda row: row.score, reverse=query.descending)


async def _csv(request: Request, site: SiteDep, caller: CallerDep) -> Response:
    """Every entry of the view."""
    query = board_query(request)
    chosen = find_track(query.track, site.services.settings.data)
    entries, _ = await site.database.run(
        site.services.records.scores.entries, query.filter(None), query.order, 0, _MOST_IN_CSV
    )
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_CSV_HEAD)
    writer.writerows(_csv_row(entry, chosen) for entry in entries)
    name = f'attachment; filename="leaderboard-{chosen.name}.csv"'
    return Response(text.getvalue(), headers={"Content-Disposition": name}, media_type="text/csv; charset=utf-8")


_CSV_HEAD = (
    *("rank", "team", "name", "correct", "images", "margin", "score", "storage", "math", "parameters", "nonzero"),
    *("param_bits", "mul_bits", "sparsity", "policy", "qualifies", "scorer_version", "finished_at", "job"),
    "checkpoint_sha256",
)


def _csv_row(entry: Entry, chosen: Track) -> tuple[object, ...]:
    return (
        *(entry.rank, _as_text(entry.team), _as_text(entry.name), entry.correct, entry.images),
        entry.correct - chosen.required_correct,
        *(entry.score, entry.storage_score, entry.math_score, entry.parameters, entry.nonzero),
        *(entry.param_bits, entry.mul_bits, entry.sparsity, entry.policy, entry.qualifies),
        *(entry.scorer_version, entry.finished_at, entry.job_id, entry.sha256),
    )


def _as_text(value: str | None) -> str | None:
    """A name that a spreadsheet shows, and does not work out."""
    return f"'{value}" if value and value.startswith(_FORMULA_STARTS) else value
