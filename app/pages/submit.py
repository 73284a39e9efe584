"""Submitting: what would this cost?, then the job. The form works without scripts, and keeps what was put into it."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.http.access import Caller, CallerDep
from app.http.body import body_chunks
from app.http.error_answers import status_of
from app.http.errors import BodyTooLarge, InvalidRequest, TokenRequired
from app.http.job_json import PAGE
from app.http.jobs import JobId, Kind, own_job
from app.http.problems import Fault
from app.http.site import Site, SiteDep
from app.http.submissions import FILENAME, FILENAME_LENGTH, SHA256, is_sha256
from app.pages import forms
from app.pages.going_on import further_fields, sent_file
from app.pages.job_view import job_view
from app.pages.page_form import PageForm
from app.pages.queries import Query
from app.pages.rendering import render
from app.pages.results import result_view
from app.pages.routing import page_router, see_other
from app.pages.stored import settings_of
from app.pages.words import for_people
from micronet.architectures import architectures
from micronet.contract.pipeline import RECIPES, recipe
from micronet.errors import MicronetError
from micronet.jobs import JOBS
from micronet.tracks import tracks
from worker.errors import CheckpointNotFound
from worker.records.values import Job

SUBMIT = "/ui/submit"
_NOT_KEPT, _GONE = "The file is not kept any more; choose it again.", "The file is gone"
_LONGEST_ADDRESS = 4000
"""Letters of an address of our own: proxies take some thousands."""
_MOST_FIELDS = 300
"""Fields of a form that is sent as an address: a few times what the longest has."""


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
    router.add_api_route(f"{SUBMIT}/{{kind}}/as/{{other}}", _back_to, methods=["GET", "HEAD"], name="other_kind_back")
    router.add_api_route(f"{SUBMIT}/{{kind}}/as/{{other}}", _other_kind, methods=["POST"], name="other_kind")
    return router


async def _page(request: Request, site: SiteDep, caller: CallerDep) -> Response:
    """The form: as it comes, with `recipe` filled with all that this says, with `from` as that job was filled.

    With `file` as well, that of a job of this `kind` on a file that the job `from` made or was sent. A job that counted
    shows what it counted. What else the address says is put into the fields of that name.
    """
    filled = await _asked_for(site, caller, Query(request.query_params))
    texts = {name: text for name, text in request.query_params.items() if name != "recipe"}
    return await _show(request, site, caller, await site.database.run(_with, site, caller, filled, texts))


async def _asked_for(site: Site, caller: Caller, query: Query) -> Filled:
    source, kind, spelled = query.text("from"), query.choice("kind", JOBS), query.choice("recipe", RECIPES)
    if source is None:
        return Filled(kind or "score", forms.form_of(kind or "score").comes) if spelled is None else _spelled(spelled)
    job, position = await site.database.run(own_job, site, caller, source)
    if (name := query.text("file", FILENAME_LENGTH)) is not None:
        return await site.database.run(_of_file, site, caller, job, name, kind or "score")
    if job.kind not in JOBS:
        detail = f"jobs of kind {job.kind!r} are of another version of this program; there are {', '.join(JOBS)}."
        raise InvalidRequest([Fault(detail=detail, parameter="from")])
    counted = await _count_view(site, job, position) if job.kind == "count" else None
    return await site.database.run(_as_sent, site, caller, job, counted)


def _with(site: Site, caller: Caller, filled: Filled, texts: Mapping[str, str]) -> Filled:
    """A form with these texts in its fields, and with the file that they name."""
    given = forms.replaced(forms.form_of(filled.kind), filled.given, texts)
    shown = replace(filled, given=given, counted=filled.counted if given == filled.given else None)
    return _with_file(site, caller, shown, texts[SHA256], texts.get(FILENAME)) if texts.get(SHA256) else shown


def _with_file(site: Site, caller: Caller, filled: Filled, sha256: str, name: str | None) -> Filled:
    """A form with this file, or where it is not here any more, with that said of it."""
    if not is_sha256(sha256) or site.services.records.blobs.find(sha256, caller.owner) is None:
        return replace(filled, faults={"checkpoint": [_NOT_KEPT]}, title=_GONE)
    return replace(filled, given={**filled.given, SHA256: sha256, FILENAME: name or ""})


async def _other_kind(request: Request, site: SiteDep, caller: CallerDep, kind: Kind, other: Kind) -> Response:
    """What was put into the form of one kind, in that of another: an address where that is short enough for one."""
    body = b"".join([chunk async for chunk in body_chunks(request, *_bounds(site))])
    texts = await site.files.run(_carried, kind, other, body, site.services.settings.form_bytes)
    address = f"{SUBMIT}?{urlencode({'kind': other, **texts})}"
    if len(address) <= _LONGEST_ADDRESS:
        return see_other(address)
    plain = Filled(other, forms.form_of(other).comes)
    return await _show(request, site, caller, await site.database.run(_with, site, caller, plain, texts))


def _carried(kind: str, other: str, body: bytes, most: int) -> dict[str, str]:
    """What a form that was sent as an address has for that of another kind, and the file that it names.

    Raises InvalidRequest for more fields than any form has, BodyTooLarge for more than `most` bytes in them together.
    """
    try:
        fields = parse_qsl(body.decode(errors="replace"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        detail = f"more than {_MOST_FIELDS} fields came; no form here has so many."
        raise InvalidRequest([Fault(detail=detail, pointer="")]) from None
    if sum(len(text.encode()) for _, text in fields) > most:
        raise BodyTooLarge(f"all fields are over their limit of {most:,} bytes together.")
    given = {name: text.replace("\r\n", "\n") for name, text in fields}
    texts = forms.carried(forms.form_of(kind), forms.form_of(other), given)
    return texts | {name: given[name] for name in (SHA256, FILENAME) if given.get(SHA256) and name in given}


def _bounds(site: Site) -> tuple[int, float]:
    """Bytes of a form without a file, and seconds that it may stand still."""
    return 3 * site.services.settings.form_bytes, site.services.settings.idle_seconds  # as %0A, of every byte three


def _of_file(site: Site, caller: Caller, job: Job, name: str, kind: str) -> Filled:
    """A form of this kind, with a file that the job made or was sent. Raises InvalidRequest."""
    made = {file.name: file.sha256 for file in job.artifacts}
    files = {**sent_file(job), **made}
    if name not in files:
        detail = f"it is none of the files of that job: {', '.join(files) or 'there are none'}."
        raise InvalidRequest([Fault(detail=detail, parameter="file")])
    given = further_fields(kind, job, name if name in made else None)
    return _with_file(site, caller, Filled(kind, given), files[name], name)


def _spelled(name: str) -> Filled:
    """A pipeline that says all that a recipe says, in place of its name."""
    return Filled("pipeline", forms.filled(forms.form_of("pipeline"), recipe(name)))


async def _back(kind: Kind) -> Response:
    """The address a form was sent to, asked for as a page."""
    return see_other(f"{SUBMIT}?kind={_shown(kind)}")


async def _back_to(kind: Kind, other: Kind) -> Response:
    """Likewise of the address that leads from one kind to another: nothing that was put in came with it."""
    return see_other(f"{SUBMIT}?kind={_shown(other)}")


async def _send(request: Request, site: SiteDep, caller: CallerDep, kind: Kind) -> Response:
    """Queue what the form asks for and go to its page; or show the form again, with what is wrong where it is wrong."""
    form = PageForm(site, caller, kind)
    try:
        job = await form.accept(request)
    except CheckpointNotFound as error:
        faults = await site.database.run(_gone, site, caller, form, error)
        return await _show(request, site, caller, _again(form, kind, faults, _GONE), 422)
    except TokenRequired:
        raise
    except MicronetError as error:
        faults = form.faults(error) if isinstance(error, InvalidRequest) else {"": [for_people(str(error))]}
        filled = _again(form, kind, faults, error.title)
        return await _show(request, site, caller, filled, status_of(error))
    return see_other(f"{SUBMIT}?from={job.id}#counted" if kind == "count" else f"{PAGE}{job.id}")


def _gone(site: Site, caller: Caller, form: PageForm, error: CheckpointNotFound) -> Mapping[str, list[str]]:
    """Which file is not there any more: the network's, or one that the settings name."""
    if form.kept is not None and site.services.records.blobs.find(form.kept, caller.owner) is None:
        form.kept = None
        return {"checkpoint": [_NOT_KEPT]}
    teachers = [name for name, field in form.fields.fields.items() if field.setting.path[-1] == "teacher"]
    said = [name for name in teachers if (text := form.given.get(name, "").strip()) and text in str(error)]
    return {said[0] if said else forms.SETTINGS: [for_people(str(error))]}


def _again(form: PageForm, kind: str, faults: Mapping[str, list[str]], title: str) -> "Filled":
    """The form as it was filled; as it comes where it was refused before its fields were read."""
    given = dict(form.given or form.fields.comes)
    for name in (SHA256, FILENAME):
        given.pop(name, None)
    if form.kept:
        given |= {SHA256: form.kept, FILENAME: form.filename or ""}
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
    form = forms.form_of(filled.kind)
    return render(
        request,
        "submit.html",
        status,
        kind=_shown(filled.kind),
        given=filled.given,
        counted=filled.counted,
        faults=filled.faults,
        title=filled.title,
        kinds=JOBS,
        form=form,
        choices=forms.choices_of(form, filled.given, known.values(), architectures()),
        recipes=forms.RECIPE_WORDS,
        rest=forms.REST,
        team=caller.team,
        limit=site.services.settings.upload_bytes,
        key=secrets.token_hex(16),
    )


def _shown(kind: str) -> str:
    """Whose form it is: counting has that of a score."""
    return "score" if kind == "count" else kind


def _as_sent(site: Site, caller: Caller, job: Job, counted: Mapping[str, Any] | None) -> Filled:
    """The form as it was when this job came of it; with the file, or that it is not here any more."""
    settings = settings_of(job)
    told = json.loads(job.settings) if settings is None else forms.sent(settings)
    filled = Filled(job.kind, forms.filled(forms.form_of(job.kind), told), counted)
    return (
        filled
        if job.checkpoint is None
        else _with_file(site, caller, filled, job.checkpoint.sha256, job.checkpoint.filename)
    )
