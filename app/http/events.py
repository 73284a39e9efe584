"""A job as a stream of server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.http.access import Caller, CallerDep, is_known
from app.http.documented import Answers, problem
from app.http.job_json import job_json
from app.http.jobs import JobId, etag, own_job
from app.http.site import Site, SiteDep
from worker.errors import JobNotFound, Unavailable
from worker.records.values import Job

_KEEP_ALIVE_SECONDS = 15.0
_in_brief = partial(own_job, with_result=False)
_EVENT = {
    "type": "object",
    "description": "one event; the data of each is a job as JSON, without its result",
    "properties": {
        "event": {"const": "job"},
        "id": {"type": "string", "pattern": "^[0-9]+-[0-9]+$"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_ANSWERS: Answers = {
    200: {"description": "A stream of events", "content": {"text/event-stream": {"schema": _EVENT}}},
    204: {"description": "The job has ended, and its last version was seen: there is nothing to come back for"},
    404: problem(404, "No such job, or another team's"),
    503: problem(503, "Too many streams are open, or too many of this team"),
}
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="`id` of the last event seen, which is not sent again; whatever else it is, the job is sent",
    ),
]


class EventStream(StreamingResponse):
    """Server-sent events, while `watching`: entered before the answer begins, for then it can still be refused."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[str], watching: AbstractContextManager[None]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store"})
        self._watching = watching

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        with self._watching:
            await super().__call__(scope, receive, send)


def events_router() -> APIRouter:
    """The route of events. It does not answer HEAD: a stream has no end to tell of before it came."""
    router = APIRouter(tags=["jobs"])
    router.add_api_route(
        "/jobs/{job_id}/events",
        _stream,
        methods=["GET"],
        name="job_events",
        status_code=200,
        response_class=EventStream,
        responses=_ANSWERS,
    )
    return router


async def _stream(
    request: Request, site: SiteDep, caller: CallerDep, job_id: JobId, last_event_id: LastEventId = None
) -> Response:
    """The job, without its result, now and whenever it changes; the stream ends when the job has ended.

    Each event is called `job`; its id is what the ETag of the job has: its version, and its place in the queue. A
    comment every 15 seconds keeps the line open. The stream also ends when its token is revoked, or the job is deleted.
    """
    job, position = await site.database.run(_in_brief, site, caller, job_id)
    if job.status.final and _id(job, position) == last_event_id:
        return Response(status_code=204)
    reader = _Reader(request, site, caller, job, position)
    return EventStream(reader.events(last_event_id), site.watch.watching(job.id, caller.owner, reader.changed))


def _id(job: Job, position: int | None) -> str:
    """Of the event that tells of a job as it is."""
    return etag(job, position).strip('"')


class _Reader:
    """Who reads the events of a job: `job` and `position` are what was seen of it. `changed`: there is more to see."""

    def __init__(self, request: Request, site: Site, caller: Caller, job: Job, position: int | None) -> None:
        self._request, self._site, self._caller = request, site, caller
        self._job, self._position = job, position
        self.changed = asyncio.Event()

    async def events(self, last: str | None) -> AsyncIterator[str]:
        """What changed since the event `last`, and what changes, until job or token have ended, or it is gone."""
        while True:
            job, here = self._job, _id(self._job, self._position)
            if here != last:
                last = here
                yield f"event: job\nid: {here}\ndata: {job_json(job, self._position, with_result=False)}\n\n"
            if job.status.final:
                return
            try:
                async with asyncio.timeout(_KEEP_ALIVE_SECONDS):
                    await self.changed.wait()
            except TimeoutError:
                yield ": still here\n\n"
            if not await self._is_known():
                return
            if self.changed.is_set():
                self.changed.clear()
                try:
                    self._job, self._position = await self._site.database.run(
                        _in_brief, self._site, self._caller, job.id
                    )
                except JobNotFound:  # deleted: asked again, this address says so
                    return

    async def _is_known(self) -> bool:
        """Also where nobody can say just now: then nothing can be read that could be told."""
        try:
            return await is_known(self._request, self._site, self._caller)
        except Unavailable:
            return True
