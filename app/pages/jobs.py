"""The list of a team's jobs."""

import re
from collections.abc import Sequence
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.http.access import CallerDep
from app.http.cursors import cursor_pattern, cursor_to, place_of
from app.http.errors import InvalidRequest
from app.http.jobs import page_of_jobs
from app.http.problems import Fault
from app.http.site import SiteDep
from app.pages.queries import Query
from app.pages.rendering import render
from app.pages.routing import page_router
from micronet.jobs import JOBS
from worker.records.jobs import Filter
from worker.records.values import Job, Status

JOBS_PAGE = "/ui/jobs"
_PAGE_SIZE = 50
_MOST_IN_ORDER = 10_000
"""Where more jobs wait, their places are on their own pages only: every open list asks again every few seconds."""


def jobs_page_router() -> APIRouter:
    """The page at /ui/jobs."""
    router = page_router()
    router.add_api_route(JOBS_PAGE, _page, methods=["GET", "HEAD"], name="jobs_page")
    return router


async def _page(request: Request, site: SiteDep, caller: CallerDep) -> Response:
    """Jobs, the newest first, filtered as the address says."""
    query = Query(request.query_params)
    kind, team, cursor = query.choice("kind", JOBS), query.text("team"), query.text("cursor")
    status = query.choice("status", [status.value for status in Status])
    wanted = Filter(caller.owner, None if status is None else Status(status), kind, team, _place(cursor))
    jobs, positions = await site.database.run(page_of_jobs, site, wanted, _PAGE_SIZE, _MOST_IN_ORDER)
    measured = await site.database.run(site.services.records.standings.measured, [job.id for job in jobs])
    asked = {"status": status, "kind": kind, "team": team}
    older = cursor_to("j", jobs[-1].seq) if len(jobs) == _PAGE_SIZE else None
    alive = any(not job.status.final for job in jobs)
    return render(
        request,
        "jobs.html",
        jobs=jobs,
        positions=positions,
        measured=measured,
        comparable=_comparable(jobs, wanted, looks=alive or "hx-request" in request.headers),
        alive=alive,
        here=_address(asked | {"cursor": cursor}),
        asked=asked,
        kinds=list(JOBS),
        statuses=[status.value for status in Status],
        following=None if older is None else _address(asked | {"cursor": older}),
        first=cursor is None,
    )


def _comparable(jobs: Sequence[Job], wanted: Filter, *, looks: bool) -> bool:
    """Whether two can be checked; while the page `looks` again, whether there may ever be two.

    For what it gets then are rows, which have to fit the head that stands.
    """
    if looks:
        return wanted.kind in (None, "score") and wanted.status in (None, Status.SUCCEEDED)
    return sum(job.kind == "score" and job.status is Status.SUCCEEDED for job in jobs) > 1


def _place(cursor: str | None) -> int | None:
    if cursor is not None and not re.fullmatch(cursor_pattern("j"), cursor, re.ASCII):
        raise InvalidRequest([Fault(detail="this is no place in the list of jobs.", parameter="cursor")])
    return place_of(cursor)


def _address(query: dict[str, str | None]) -> str:
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    return f"{JOBS_PAGE}?{asked}" if asked else JOBS_PAGE
