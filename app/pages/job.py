"""The page of a job: how far it is, while it runs; what came of it, when it has ended."""

import secrets
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.http.access import CallerDep
from app.http.job_json import PAGE
from app.http.jobs import JobId, cancel_own, delete_own, own_job
from app.http.site import Site, SiteDep
from app.pages.compare import recent_scores
from app.pages.going_on import onward, other_widths
from app.pages.job_ids import whole_id
from app.pages.job_panel import JobPanel, job_panel
from app.pages.jobs import JOBS_PAGE
from app.pages.queries import Query
from app.pages.rendering import render
from app.pages.results import result_view
from app.pages.routing import error_page, page_router, see_other
from app.pages.standing import standing_view
from app.pages.stored_files import kept_files
from worker.errors import JobNotFound
from worker.records.values import Job

_AGAIN = {"HX-Refresh": "true"}
"""Tells htmx to fetch the whole page: there is a result to show, or no job any more."""
_MOST_TOLD = 1_000_000
"""Entries of a log: more than any has."""


def job_page_router() -> APIRouter:
    """Pages below /ui/jobs/ID."""
    router = page_router()
    address = f"{PAGE}{{job_id}}"
    router.add_api_route(address, _page, methods=["GET", "HEAD"], name="job_page")
    router.add_api_route(f"{address}/live", _live, methods=["GET", "HEAD"], name="job_live")
    router.add_api_route(f"{address}/cancel", _cancel, methods=["POST"], name="cancel_job_page")
    router.add_api_route(f"{address}/delete", _delete, methods=["POST"], name="delete_job_page")
    return router


async def _page(request: Request, site: SiteDep, caller: CallerDep, job_id: JobId) -> Response:
    """All there is to know about a job. The beginning of an id leads to the whole one, if it is that of one alone."""
    whole = await site.database.run(whole_id, site, caller, job_id)
    if whole != job_id:
        return see_other(f"{PAGE}{whole}")
    job, position = await site.database.run(own_job, site, caller, job_id)
    view = await _view(site, job, position)
    shown = await site.files.run(result_view, job, site.services.settings.data)
    others = await site.database.run(recent_scores, site, caller.owner)
    kept = await site.database.run(kept_files, site, job)
    named = partial(
        render,
        view=view,
        job=job,
        shown=shown,
        standing=await site.database.run(standing_view, site, job),
        others=others,
        kept=kept,
        onward=onward(job, kept),
        ways=other_widths(job, getattr(shown, "result", None)),
        key=secrets.token_hex(16),
    )
    return await site.files.run(named, request, "job.html")  # it is as long as the network is deep


async def _live(request: Request, site: SiteDep, caller: CallerDep, job_id: JobId) -> Response:
    """The part of the page that changes while the job waits and runs.

    What was told before is not told again: `seen` is its status and stage, `told` how many entries of the log.
    """
    try:
        job, position = await site.database.run(own_job, site, caller, job_id)
    except JobNotFound as error:  # deleted while the page was looked at
        answer = error_page(request, error)
        answer.headers.update(_AGAIN)
        return answer
    seen, told = request.query_params.get("seen", ""), Query(request.query_params).count("told", 0, _MOST_TOLD, least=0)
    view = await _view(site, job, position)
    answer = render(request, "live.html", view=view, job=job, again=True, seen=seen, told=told)
    if job.status.final:
        answer.headers.update(_AGAIN)
    return answer


async def _cancel(site: SiteDep, caller: CallerDep, job_id: JobId) -> Response:
    """Stop it, and show it again."""
    await site.database.run(cancel_own, site, caller, job_id)
    return see_other(f"{PAGE}{job_id}")


async def _delete(site: SiteDep, caller: CallerDep, job_id: JobId) -> Response:
    """Take it back, and show those that are left."""
    await site.database.run(delete_own, site, caller, job_id)
    return see_other(JOBS_PAGE)


async def _view(site: Site, job: Job, position: int | None) -> JobPanel:
    log = await site.database.run(site.services.records.jobs.log, job.id)
    return job_panel(job, position, log)
