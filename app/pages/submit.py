"""Submitting: what would this cost?, then the job. The form works without scripts, and keeps what was put into it."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.http.access import Caller, CallerDep
from app.http.errors import InvalidRequest, TokenRequired
from app.http.failures import status_of
from app.http.job_json import PAGE
from app.http.jobs import JobId, Kind, own_job
from app.http.problems import Fault
from app.http.site import Site, SiteDep
from app.pages import score_form
from app.pages.job_view import job_view
from app.pages.page_form import WITH_FIELDS, PageForm, faults_by_field, faults_of_text
from app.pages.queries import Query
from app.pages.rendering import render
from app.pages.results import result_view
from app.pages.routing import page_router, see_other
from app.pages.stored import chosen_of, settings_of
from micronet.architectures import architectures
from micronet.errors import MicronetError
from micronet.jobs import JOBS
from micronet.tracks import tracks
from worker.errors import CheckpointNotFound
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
    router.add_api_route(f"{SUBMIT}/counted/{{job_id}}", _counted, methods=["GET", "HEAD"], name="counted")
    router.add_api_route(f"{SUBMIT}/{{kind}}", _back, methods=["GET", "HEAD"], name="submit_back")
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
    if job.kind not in JOBS:
        detail = f"jobs of kind {job.kind!r} are of another version of this program; there are {', '.join(JOBS)}."
        raise InvalidRequest([Fault(detail=detail, parameter="from")])
    counted = await _count_view(site, job, position) if job.kind == "count" else None
    given = await site.database.run(_as_sent, site, caller, job)
    return await _show(request, site, caller, Filled(job.kind, given, counted))


async def _back(kind: Kind) -> Response:
    """The address a form was sent to, asked for as a page."""
    return see_other(f"{SUBMIT}?kind={'score' if kind in WITH_FIELDS else kind}")


async def _send(request: Request, site: SiteDep, caller: CallerDep, kind: Kind) -> Response:
    """Queue what the form asks for and go to its page; or show the form again, with what is wrong where it is wrong."""
    form = PageForm(site, caller, kind)
    try:
        job = await form.accept(request)
    except CheckpointNotFound:
        form.kept = None
        faults = {"checkpoint": ["The file is not kept any more; choose it again."]}
        return await _show(request, site, caller, _again(form, kind, faults, "The file is gone"), 422)
    except TokenRequired:
        raise
    except MicronetError as error:
        filled = _again(form, kind, _faults(kind, error), error.title)
        return await _show(request, site, caller, filled, status_of(error))
    return see_other(f"{SUBMIT}?from={job.id}#counted" if kind == "count" else f"{PAGE}{job.id}")


def _faults(kind: str, error: MicronetError) -> Mapping[str, list[str]]:
    if not isinstance(error, InvalidRequest):
        return {"": [str(error)]}
    return faults_by_field(error) if kind in WITH_FIELDS else faults_of_text(error)


def _again(form: PageForm, kind: str, faults: Mapping[str, list[str]], title: str) -> "Filled":
    """The form as it was filled; as it comes where it was refused before its fields were read."""
    given = dict(form.given or _empty(kind))
    for name in ("checkpoint_sha256", "filename"):
        given.pop(name, None)
    if form.kept:
        given |= {"checkpoint_sha256": form.kept, "filename": form.filename or ""}
    return Filled(kind, given, None, faults, title)


async def _counted(request: Request, site: SiteDep, caller: CallerDep, job_id: JobId) -> Response:
    """What a counting job found; nothing where that was `seen` before: then the page stays as it is."""
    job, position = await site.database.run(own_job, site, caller, job_id)
    if request.query_params.get("seen") == _state(job, position):
        return Response(status_code=204)
    return render(request, "counted.html", counted=await _count_view(site, job, position))


async def _count_view(site: Site, job: Job, position: int | None) -> Mapping[str, Any]:
    shown = await site.files.run(result_view, job, site.services.settings.data)
    return {"job": job, "view": job_view(job, position, ()), "shown": shown, "seen": _state(job, position)}


def _state(job: Job, position: int | None) -> str:
    """All that the page of a count says of it before it has ended."""
    return f"{job.status}-{position or 0}"


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
        key=secrets.token_hex(16),
        defaults=_defaults(filled.kind),
    )


def _defaults(kind: str) -> str:
    """What has to be said for a job of this kind, and what need not."""
    if JOBS[kind].file == "optional":
        return "Everything has a default but where to start: choose a file, or name an architecture" + (
            ", or a recipe, which names one." if kind == "pipeline" else "."
        )
    return "Everything has a default; a bare state dict needs its architecture named."


def _empty(kind: str) -> Mapping[str, str]:
    return score_form.usual() if kind in WITH_FIELDS else {"settings": "{}"}


def _as_sent(site: Site, caller: Caller, job: Job) -> Mapping[str, str]:
    """The form as it was when this job came of it; with the file, if it is still here."""
    if job.kind in WITH_FIELDS:
        given = score_form.filled(json.loads(job.settings))
    else:
        settings = settings_of(job)
        chosen = json.loads(job.settings) if settings is None else chosen_of(settings)
        given = {"settings": json.dumps(chosen, indent=2)}
    file = job.checkpoint
    if file is not None and site.services.records.blobs.find(file.sha256, caller.owner) is not None:
        given |= {"checkpoint_sha256": file.sha256, "filename": file.filename or ""}
    return given
