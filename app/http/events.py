"""A job as a stream of server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import StreamingResponse

from app.http.access import Caller, CallerDep
from app.http.documented import Answers, problem
from app.http.job_json import job_json
from app.http.jobs import JobId, own_job
from app.http.site import Site, SiteDep
from worker.records.values import Job

_KEEP_ALIVE_SECONDS = 15.0
_EVENT = {
    "type": "object",
    "description": "one event; the data of each is a job as JSON, without its result",
    "properties": {
        "event": {"const": "job"},
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_ANSWERS: Answers = {
    200: {"description": "A stream of events", "content": {"text/event-stream": {"schema": _EVENT}}},
    404: problem(404, "No such job, or another team's"),
    503: problem(503, "Too many streams are open"),
}
LastEventId = Annotated[
    int | None, Header(alias="Last-Event-ID", ge=0, le=2**31 - 1, description="last version seen; it is not sent again")
]


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


def events_router() -> APIRouter:
    """The route of events."""
    router = APIRouter(tags=["jobs"])
    router.add_api_route(
        "/jobs/{job_id}/events",
        _stream,
        methods=["GET"],
        name="job_events",
        response_class=EventStream,
        responses=_ANSWERS,
    )
    return router


async def _stream(site: SiteDep, caller: CallerDep, job_id: JobId, last_event_id: LastEventId = None) -> EventStream:
    """The job, without its result, now and whenever it changes; the stream ends when the job has ended.

    Each event is called `job`; its id is the version of the job. A comment every 15 seconds keeps the line open.
    """
    site.watch.check_room()
    job, position = await site.database.run(own_job, site, caller, job_id)
    events = _events(site, caller, job, position, last_event_id)
    return EventStream(events, headers={"Cache-Control": "no-store"})


async def _events(site: Site, caller: Caller, job: Job, position: int | None, last: int | None) -> AsyncIterator[str]:
    with site.watch.watching(job.id) as changed:
        while True:
            if job.version != last:
                last = job.version
                yield f"event: job\nid: {job.version}\ndata: {job_json(job, position, with_result=False)}\n\n"
            if job.status.final:
                return
            try:
                async with asyncio.timeout(_KEEP_ALIVE_SECONDS):
                    await changed.wait()
            except TimeoutError:
                yield ": still here\n\n"
                continue
            changed.clear()
            job, position = await site.database.run(own_job, site, caller, job.id)
