"""Submitting: what would this cost?, then the job. The form works without scripts, and keeps what was put into it."""

import secrets
from collections.abc import Mapping
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
from app.http.submissions import FILENAME, SHA256
from app.pages import forms
from app.pages.page_form import PageForm
from app.pages.prefilled import GONE, NOT_KEPT, Filled, asked_for, count_view, state_of, with_texts
from app.pages.proposals import proposed
from app.pages.queries import Query
from app.pages.rendering import render
from app.pages.routing import page_router, see_other
from app.pages.words import for_people
from micronet.architectures import architectures
from micronet.errors import MicronetError
from micronet.jobs import JOBS
from micronet.tracks import tracks
from worker.errors import CheckpointNotFound

SUBMIT = "/ui/submit"
_LONGEST_ADDRESS = 4000
"""Letters of an address of our own: proxies take some thousands."""
_MOST_FIELDS = 300
"""Fields of a form that is sent as an address: a few times what the longest has."""


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
    shows what it counted. What else the address says is put into the fields of that name; where it does not say how a
    network is to be scored, the form proposes it.
    """
    filled = await asked_for(site, caller, Query(request.query_params))
    texts = {name: text for name, text in request.query_params.items() if name != "recipe"}
    texts |= await site.database.run(proposed, site, _shown(filled.kind), texts)
    return await _show(request, site, caller, await site.database.run(with_texts, site, caller, filled, texts))


async def _other_kind(request: Request, site: SiteDep, caller: CallerDep, kind: Kind, other: Kind) -> Response:
    """What was put into the form of one kind, in that of another: an address where that is short enough for one."""
    body = b"".join([chunk async for chunk in body_chunks(request, *_bounds(site))])
    texts = await site.files.run(_carried, kind, other, body, site.services.settings.form_bytes)
    address = f"{SUBMIT}?{urlencode({'kind': other, **texts})}"
    if len(address) <= _LONGEST_ADDRESS:
        return see_other(address)
    plain = Filled(other, forms.form_of(other).comes)
    return await _show(request, site, caller, await site.database.run(with_texts, site, caller, plain, texts))


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
        return await _show(request, site, caller, _again(form, kind, faults, GONE), 422)
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
        return {"checkpoint": [NOT_KEPT]}
    teachers = [name for name, field in form.fields.fields.items() if field.setting.path[-1] == "teacher"]
    said = [name for name in teachers if (text := form.given.get(name, "").strip()) and text in str(error)]
    return {said[0] if said else forms.SETTINGS: [for_people(str(error))]}


def _again(form: PageForm, kind: str, faults: Mapping[str, list[str]], title: str) -> Filled:
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
    if request.query_params.get("seen") == state_of(job, position):
        return Response(status_code=204)
    return render(request, "counted.html", counted=await count_view(site, job, position))


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
