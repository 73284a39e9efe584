"""Jobs: sent, read, listed, canceled, deleted."""

import re
from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import AfterValidator, Field
from starlette.responses import Response

from app.http.access import Caller, CallerDep, caller_of
from app.http.cursors import cursor_pattern, cursor_to, place_of
from app.http.documented import NOT_MODIFIED, Answers, problem, success
from app.http.job_json import job_json
from app.http.routing import api_router
from app.http.schemas import JobList, JobView
from app.http.site import Site, SiteDep, site_of
from app.http.submissions import Submission
from app.job_id_form import LEAST, LENGTH, WHOLE
from micronet.contract import Name
from micronet.contract.values import in_words
from micronet.jobs import JOBS
from worker.errors import JobNotFound
from worker.records.jobs import Filter
from worker.records.values import Job, Status

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="sent again with the same request, it gives the same job",
    ),
    in_words("needs visible ASCII characters, and no spaces"),
]


def _known_kind(kind: str) -> str:
    if kind not in JOBS:
        raise ValueError(f"there are the kinds {', '.join(JOBS)}")
    return kind


Kind = Annotated[str, AfterValidator(_known_kind), Field(json_schema_extra={"enum": list(JOBS)})]
JobId = Annotated[str, Path(json_schema_extra={"pattern": WHOLE})]
Cursor = Annotated[
    str | None,
    Query(pattern=cursor_pattern("j"), description="from `next` of the page before"),
    in_words("needs what `next` of the page before has"),
]
Team = Annotated[Name | None, Query()]
IdPrefix = Annotated[
    str | None,
    Query(pattern=f"^[0-9a-f]{{{LEAST},{LENGTH}}}$", description="what the id begins with"),
    in_words(f"needs {LEAST} to {LENGTH} hexadecimal digits, in lower case"),
]
_JSON = "application/json"
_JOB_ID = re.compile(WHOLE)
_NOT_FOUND: Answers = {404: problem(404, "No such job, or another team's")}

log = structlog.get_logger()


def jobs_router() -> APIRouter:
    """Routes of jobs; one POST for each kind in the table."""
    router = api_router("jobs")
    for kind in JOBS:
        _add_kind(router, kind)
    router.add_api_route("/jobs", _list, methods=["GET"], name="list_jobs", response_model=JobList)
    router.add_api_route(
        "/jobs/{job_id}",
        _read,
        methods=["GET"],
        name="read_job",
        responses={200: success(JobView, "The job", "ETag"), 304: NOT_MODIFIED, **_NOT_FOUND},
    )
    router.add_api_route(
        "/jobs/{job_id}",
        _delete,
        methods=["DELETE"],
        name="delete_job",
        status_code=204,
        responses={
            204: {"description": "It is gone"},
            409: problem(409, "It has not ended: cancel it first"),
            **_NOT_FOUND,
        },
    )
    router.add_api_route(
        "/jobs/{job_id}/cancel",
        _cancel,
        methods=["POST"],
        name="cancel_job",
        responses={
            200: success(JobView, "It has ended", "ETag"),
            202: success(JobView, "It will end", "ETag"),
            **_NOT_FOUND,
        },
    )
    return router


def _add_kind(router: APIRouter, kind: str) -> None:
    async def submit(request: Request, site: SiteDep, caller: CallerDep, key: Key = None) -> Response:
        job = await Submission(site, caller, kind, key).accept(request)
        position = await site.database.run(queue_position, site, job)
        headers = {"Location": f"/jobs/{job.id}", "ETag": etag(job, position)}
        return Response(job_json(job, position), 202, headers, _JSON)

    router.add_api_route(
        f"/{kind}",
        submit,
        methods=["POST"],
        name=f"submit_{kind}",
        summary=JOBS[kind].summary,
        status_code=202,
        responses={202: success(JobView, "The job was accepted", "Location", "ETag")},
    )


async def _read(request: Request, job_id: JobId) -> Response:
    """A job as it is now. With If-None-Match, 304 while nothing changed."""
    site = site_of(request)  # called rather than declared: this is the busiest route, and FastAPI's way costs a fifth
    caller = await caller_of(request, site)
    seen = request.headers.get("if-none-match", "")
    job, position = await site.database.run(_job_to_send, site, caller, job_id, seen)
    tag = etag(job, position)
    if tag in seen:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(job_json(job, position), 200, {"ETag": tag}, _JSON)


def _job_to_send(site: Site, caller: Caller, job_id: str, seen: str) -> tuple[Job, int | None]:
    """As `own_job`, but without its result, which is long, where its tag is among those `seen`."""
    job, position = own_job(site, caller, job_id, with_result=False)
    if job.status.final and etag(job, position) not in seen:
        job = replace(job, result=site.services.records.jobs.result(job_id))
    return job, position


async def _list(
    site: SiteDep,
    caller: CallerDep,
    *,
    status: Status | None = None,
    kind: Annotated[Kind | None, Query()] = None,
    team: Team = None,
    id_prefix: IdPrefix = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Cursor = None,
) -> Response:
    """Jobs, the newest first. Their results are left out: `result` is null; each job's own address has it."""
    wanted = Filter(caller.owner, status, kind, team, place_of(cursor), id_prefix)
    jobs, positions = await site.database.run(page_of_jobs, site, wanted, limit)
    following = None
    if len(jobs) == limit:
        asked = {"status": status, "kind": kind, "team": team, "id_prefix": id_prefix, "limit": limit}
        query = asked | {"cursor": cursor_to("j", jobs[-1].seq)}
        following = "/jobs?" + urlencode({name: value for name, value in query.items() if value is not None})
    texts = ",".join(job_json(job, positions.get(job.id), with_result=False) for job in jobs)
    tail = "null" if following is None else f'"{following}"'  # urlencode leaves nothing that JSON escapes
    return Response(f'{{"jobs":[{texts}],"next":{tail}}}', media_type=_JSON)


def page_of_jobs(
    site: Site, wanted: Filter, limit: int, most: int | None = None
) -> tuple[tuple[Job, ...], dict[str, int]]:
    """A page of a list, and the places in the queue of those that wait, by id; none where more than `most` wait."""
    jobs = site.services.records.jobs.list(wanted, limit)
    waiting = [job.id for job in jobs if job.status is Status.QUEUED]
    return jobs, site.services.records.jobs.places(waiting, most)


async def _cancel(site: SiteDep, caller: CallerDep, job_id: JobId, key: Key = None) -> Response:
    """Stop a job: a waiting one at once (200), a running one within seconds (202). One that has ended stays (200)."""
    job = await site.database.run(cancel_own, site, caller, job_id)
    status = 202 if job.status is Status.CANCELING else 200
    return Response(job_json(job, None), status, {"ETag": etag(job, None)}, _JSON)


def cancel_own(site: Site, caller: Caller, job_id: str) -> Job:
    """Ask a job of the caller's to stop; the job as it is then. Raises JobNotFound, for those of others too."""
    job, _ = own_job(site, caller, job_id)
    if job.status.final:
        return job
    job = site.services.records.jobs.cancel(job_id)
    log.info("cancel asked", job=job.id, kind=job.kind, status=job.status.value, team=caller.team)
    return job


async def _delete(site: SiteDep, caller: CallerDep, job_id: JobId) -> Response:
    """Take back a job that has ended: its record, its log, its result and its entry on the leaderboard go.

    Files that no other job of its team names go with them: they count against no quota from now on, and are swept.
    """
    await site.database.run(delete_own, site, caller, job_id)
    return Response(status_code=204)


def delete_own(site: Site, caller: Caller, job_id: str) -> None:
    """Delete a job of the caller's. Raises JobNotEnded, and JobNotFound, for those of others too."""
    check_id(job_id)
    job = site.services.records.jobs.delete(job_id, caller.owner)
    log.info("job deleted", job=job.id, kind=job.kind, status=job.status.value, team=caller.team)


def own_job(site: Site, caller: Caller, job_id: str, *, with_result: bool = True) -> tuple[Job, int | None]:
    """A job of the caller's, and its place in the queue. Raises JobNotFound, for those of others too."""
    check_id(job_id)
    job = site.services.records.jobs.read(job_id, with_result=with_result)
    if job.owner != caller.owner:
        raise JobNotFound(f"there is no job {job_id!r}; GET /jobs lists them.")
    return job, queue_position(site, job)


def check_id(job_id: str) -> None:
    """Raise JobNotFound for what no job can be called."""
    if not _JOB_ID.fullmatch(job_id):
        raise JobNotFound(f"{job_id[:80]!r} is no job's id; GET /jobs lists them.")


def queue_position(site: Site, job: Job) -> int | None:
    """The place of a waiting job, from 1."""
    return site.services.records.jobs.place(job) if job.status is Status.QUEUED else None


def etag(job: Job, position: int | None) -> str:
    """Changes whenever the job's text does."""
    return f'"{job.version}-{position or 0}"'
