"""The page of a leaderboard entry: what all teams may know of it, at an address that stays."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.http.access import Caller, CallerDep
from app.http.jobs import JobId, check_id, own_job
from app.http.site import Site, SiteDep
from app.pages.rendering import render
from app.pages.routing import page_router
from worker.errors import JobNotFound
from worker.records.scores import Entry

ENTRIES = "/ui/entries"


def entry_router() -> APIRouter:
    """The page at /ui/entries/ID."""
    router = page_router()
    router.add_api_route(f"{ENTRIES}/{{job_id}}", _page, methods=["GET", "HEAD"], name="entry_page")
    return router


async def _page(request: Request, site: SiteDep, caller: CallerDep, job_id: JobId) -> Response:
    """An entry, and for its own team the way to its job."""
    entry, own = await site.database.run(_find, site, caller, job_id)
    return render(request, "entry.html", entry=entry, own=own)


def _find(site: Site, caller: Caller, job_id: str) -> tuple[Entry, bool]:
    check_id(job_id)
    entry = site.services.records.scores.entry(job_id)
    if entry is None:
        raise JobNotFound(f"no entry {job_id!r} is on a leaderboard.")
    try:
        own_job(site, caller, job_id)
    except JobNotFound:
        return entry, False
    return entry, True
