"""A form as an address asks for it: filled as a job was, with a recipe, with texts, and with the file they name."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.http.access import Caller
from app.http.errors import InvalidRequest
from app.http.jobs import own_job
from app.http.problems import Fault
from app.http.site import Site
from app.http.submissions import FILENAME, FILENAME_LENGTH, SHA256, is_sha256
from app.pages import forms
from app.pages.going_on import further_fields, sent_file
from app.pages.job_panel import job_panel
from app.pages.queries import Query
from app.pages.results import result_view
from app.pages.stored import settings_of
from micronet.contract.pipeline import RECIPES, recipe
from micronet.jobs import JOBS
from worker.records.values import Job

NOT_KEPT, GONE = "The file is not kept any more; choose it again.", "The file is gone"


@dataclass(frozen=True, slots=True)
class Filled:
    """A form as it is shown: values and faults by field, and what was counted, if anything was."""

    kind: str
    given: Mapping[str, str]
    counted: Mapping[str, Any] | None = None
    faults: Mapping[str, list[str]] = field(default_factory=dict)
    title: str | None = None


async def asked_for(site: Site, caller: Caller, query: Query) -> Filled:
    """The form that `from`, `file`, `kind` and `recipe` of an address lead to. Raises JobNotFound, InvalidRequest."""
    source, kind, spelled = query.text("from"), query.choice("kind", JOBS), query.choice("recipe", RECIPES)
    if source is None:
        return Filled(kind or "score", forms.form_of(kind or "score").comes) if spelled is None else _spelled(spelled)
    job, position = await site.database.run(own_job, site, caller, source)
    if (name := query.text("file", FILENAME_LENGTH)) is not None:
        return await site.database.run(_of_file, site, caller, job, name, kind or "score")
    if job.kind not in JOBS:
        detail = f"jobs of kind {job.kind!r} are of another version of this program; there are {', '.join(JOBS)}."
        raise InvalidRequest([Fault(detail=detail, parameter="from")])
    counted = await count_view(site, job, position) if job.kind == "count" else None
    return await site.database.run(_as_sent, site, caller, job, counted)


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


def with_texts(site: Site, caller: Caller, filled: Filled, texts: Mapping[str, str]) -> Filled:
    """A form with these texts in its fields, and with the file that they name."""
    given = forms.replaced(forms.form_of(filled.kind), filled.given, texts)
    shown = replace(filled, given=given, counted=filled.counted if given == filled.given else None)
    return _with_file(site, caller, shown, texts[SHA256], texts.get(FILENAME)) if texts.get(SHA256) else shown


def _with_file(site: Site, caller: Caller, filled: Filled, sha256: str, name: str | None) -> Filled:
    """A form with this file, or where it is not here any more, with that said of it."""
    if not is_sha256(sha256) or site.services.records.blobs.find(sha256, caller.owner) is None:
        return replace(filled, faults={"checkpoint": [NOT_KEPT]}, title=GONE)
    return replace(filled, given={**filled.given, SHA256: sha256, FILENAME: name or ""})


async def count_view(site: Site, job: Job, position: int | None) -> Mapping[str, Any]:
    """What the page says of a job that counts."""
    shown = await site.files.run(result_view, job, site.services.settings.data)
    return {"job": job, "view": job_panel(job, position, ()), "shown": shown, "seen": state_of(job, position)}


def state_of(job: Job, position: int | None) -> str:
    """All that the page of a count says of it before it has ended."""
    return f"{job.status}-{position or 0}"
