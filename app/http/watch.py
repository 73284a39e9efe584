"""Who waits for a job to change: one query for all of them, four times a second."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from app.http.errors import TooManyStreams
from app.http.threads import Threads
from worker.errors import ServiceError
from worker.records.jobs import JobRecords

_SECONDS = 0.25
_MOST = 200

log = structlog.get_logger()


class Watch:
    """Sets the events of those who watch a job whenever its version is another than before."""

    def __init__(self, jobs: JobRecords, threads: Threads) -> None:
        self._jobs, self._threads = jobs, threads
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._versions: dict[str, int] = {}
        self._looking: asyncio.Task[None] | None = None
        self._count = 0

    def check_room(self) -> None:
        """Raise TooManyStreams if no more may watch."""
        if self._count >= _MOST:
            raise TooManyStreams(f"{_MOST} event streams are open; ask for the job now and then instead.")

    @contextmanager
    def watching(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set soon, then whenever the job has changed; who saw it clears it. Raises TooManyStreams."""
        self.check_room()
        changed = asyncio.Event()
        self._count += 1
        self._watchers[job_id].add(changed)
        self._versions.pop(job_id, None)  # so that what changed before this line is told too
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="watch jobs")
        try:
            yield changed
        finally:
            self._count -= 1
            self._watchers[job_id].discard(changed)
            if not self._watchers[job_id]:
                del self._watchers[job_id]
                self._versions.pop(job_id, None)

    async def _look(self) -> None:
        while self._watchers:
            try:
                versions = await self._threads.run(self._jobs.versions, list(self._watchers))
            except ServiceError as error:
                log.warning("jobs not watched", reason=str(error))
                versions = {}
            except Exception:  # a fault of ours must not leave those who watch waiting for ever
                log.exception("jobs not watched")
                versions = {}
            for job_id, version in versions.items():
                if self._versions.get(job_id) != version and job_id in self._watchers:
                    self._versions[job_id] = version
                    for changed in self._watchers[job_id]:
                        changed.set()
            await asyncio.sleep(_SECONDS)
