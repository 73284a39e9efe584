"""Submitting: what would this cost?, then the job. The form works without scripts, and keeps what was put into it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.http.access import Caller, CallerDep
from app.http.errors import InvalidRequest
from app.http.failures import status_of
from app.http.job_json import PAGE
from app.http.jobs import JobId, Kind, own_job
from app.http.site import Site, SiteDep
from app.pages import score_form
from app.pages.job_view import job_view
from app.pages.page_form import WITH_FIELDS, PageForm, faults_by_field
from app.pages.queries import Query
from app.pages.rendering import render
from app.pages.results import result_view
from app.pages.routing import page_router, see_other
from micronet.architectures import architectures
from micronet.errors import MicronetError
from micronet.jobs import JOBS
from micronet.tracks import tracks
from worker.records.values import Job

SUBMIT = "/ui/submit"


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it is shown: values and faults by field, and what was counted, if anything was."""

    kind: str
    given: Mapping[str, str]
    counted: Mapping[str, Any] | None = None
    faults: Mapping[str, list[str]] = field(default_factory=dict)
    title: str | None = None


def submit_router() -> APIRouter:
    """The form, and what it is sent to."""
    router = page_router()
    router.add_api_route(SUBMIT, _page, methods=["GET", "HEAD"], name="submit_page")
    router.add_api_route(f"{SUBMIT}/counted/{{job_id}}", _counted, methods=["GET"], name="counted")
    router.add_api_route(f"{SUBMIT}/{{kind}}", _send, methods=["POST"], name="submit_form")
    return router


async def _page(request: Request, site: SiteDep, caller: CallerDep) -> Response:
    """The form: empty, or with `from` filled as that job was; a job that counted shows what it counted."""
    query = Query(request.query_params)
    source = query.text("from")
    if source is None:
        kind = query.choice("kind", JOBS) or "score"
        return await _show(request, site, caller, Filled(kind, _empty(kind)))
    job, position = await site.database.run(own_job, site, caller, source)
    counted = await _count_view(site, job, position) if job.kind == "count" else None
    return await _show(request, site, caller, Filled(job.kind, _as_sent(job), counted))


async def _send(request: Request, site: SiteDep, caller: CallerDep, kind: Kind) -> Response:
    """Queue what the form asks for and go to its page; or show the form again, with what is wrong where it is wrong."""
    form = PageForm(site, caller, kind)
    try:
        job = await form.accept(request)
    except MicronetError as error:
        faults = faults_by_field(error) if isinstance(error, InvalidRequest) else {"": [str(error)]}
        kept = {"checkpoint_sha256": form.kept, "filename": form.filename or ""} if form.kept else {}
        again = Filled(kind, form.given | kept, None, faults, error.title)
        return await _show(request, site, caller, again, status_of(error))
    return see_other(f"{SUBMIT}?from={job.id}" if kind == "count" else f"{PAGE}{job.id}")


async def _counted(request: Request, site: SiteDep, caller: CallerDep, job_id: JobId) -> Response:
    """What a counting job found, as far as it is; the part of the form that changes while it counts."""
    job, position = await site.database.run(own_job, site, caller, job_id)
    return render(request, "counted.html", counted=await _count_view(site, job, position))


async def _count_view(site: Site, job: Job, position: int | None) -> Mapping[str, Any]:
    shown = await site.files.run(result_view, job, site.services.settings.data)
    return {"job": job, "view": job_view(job, position, ()), "shown": shown}


async def _show(request: Request, site: Site, caller: Caller, filled: Filled, status: int = 200) -> Response:
    known = await site.files.run(tracks, site.services.settings.data)
    return render(
        request,
        "submit.html",
        status,
        kind="score" if filled.kind in WITH_FIELDS else filled.kind,
        given=filled.given,
        counted=filled.counted,
        faults=filled.faults,
        title=filled.title,
        kinds=JOBS,
        form=score_form,
        fields=score_form.fields(),
        tracks=[(track.name, track.title) for track in known.values()],
        architectures=[("", "the file says it"), *((name, name) for name in architectures())],
        team=caller.team,
        limit=site.services.settings.upload_bytes,
    )


def _empty(kind: str) -> Mapping[str, str]:
    return score_form.usual() if kind in WITH_FIELDS else {"settings": "{}"}


def _as_sent(job: Job) -> Mapping[str, str]:
    """The form as it was when this job came of it; with the file, which is here already."""
    settings = json.loads(job.settings)
    given = score_form.filled(settings) if job.kind in WITH_FIELDS else {"settings": _chosen_text(job)}
    if job.checkpoint is not None:
        given |= {"checkpoint_sha256": job.checkpoint.sha256, "filename": job.checkpoint.filename or ""}
    return given


def _chosen_text(job: Job) -> str:
    settings = JOBS[job.kind].settings.model_validate_json(job.settings)
    return json.dumps(settings.model_dump(mode="json", exclude_defaults=True), indent=2)
