"""Who waits for a job to change: one query for all of them, four times a second; once a second one for their places."""

import asyncio
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from app.http.errors import TooManyStreams
from app.http.threads import Threads
from worker.errors import ServiceError
from worker.records.jobs import JobRecords

_SECONDS = 0.25
_LOOKS_TO_PLACES = 4  # for places, all that wait are put in order
_MOST, _MOST_OF_OWNER = 200, 32
_State = tuple[int | None, int | None]
"""Version and place of a job: no version of one that is gone, no place of one that does not wait."""

log = structlog.get_logger()


class Watch:
    """Sets the events of those who watch a job whenever its version or its place in the queue is another than before,
    or it is gone.

    `open_access`: everybody is one owner, who then may have all the room there is.
    """

    def __init__(self, jobs: JobRecords, threads: Threads, open_access: bool) -> None:
        self._jobs, self._threads, self._open = jobs, threads, open_access
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._places: dict[str, int] = {}
        self._seen: dict[str, _State] = {}
        self._looking: asyncio.Task[None] | None = None
        self._streams: Counter[str] = Counter()

    @contextmanager
    def watching(self, job_id: str, owner: str, changed: asyncio.Event) -> Iterator[None]:
        """Sets `changed` soon, then whenever the job has changed; who saw it clears it. Raises TooManyStreams."""
        self._check_room(owner)
        self._streams[owner] += 1
        self._watchers[job_id].add(changed)
        self._seen.pop(job_id, None)  # so that what changed before this line is told too
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="watch jobs")
        try:
            yield
        finally:
            self._streams[owner] -= 1
            if not self._streams[owner]:
                del self._streams[owner]
            self._watchers[job_id].discard(changed)
            if not self._watchers[job_id]:
                del self._watchers[job_id]
                self._seen.pop(job_id, None)

    def _check_room(self, owner: str) -> None:
        advice = "ask for the job now and then instead."
        if not self._open and self._streams[owner] >= _MOST_OF_OWNER:
            raise TooManyStreams(f"{_MOST_OF_OWNER} event streams of your team are open; close some, or {advice}")
        if self._streams.total() >= _MOST:
            raise TooManyStreams(f"{_MOST} event streams are open; {advice}")

    async def _look(self) -> None:
        for look in itertools.count():
            if not self._watchers:
                return
            watched = list(self._watchers)
            try:
                versions = await self._threads.run(self._jobs.versions, watched)
                if look % _LOOKS_TO_PLACES == 0:
                    self._places = await self._threads.run(self._jobs.places, watched)
                self._tell({job_id: (versions.get(job_id), self._places.get(job_id)) for job_id in watched})
            except ServiceError as error:
                log.warning("jobs not watched", reason=str(error))
            except Exception:  # a fault of ours must not leave those who watch waiting for ever
                log.exception("jobs not watched")
            await asyncio.sleep(_SECONDS)

    def _tell(self, states: Mapping[str, _State]) -> None:
        for job_id, state in states.items():
            if job_id in self._watchers and self._seen.get(job_id) != state:
                self._seen[job_id] = state
                for changed in self._watchers[job_id]:
                    changed.set()
