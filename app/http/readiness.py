"""Can the server do its work? Looked at once a second at most: who asks needs no token, and looking costs a write."""

import asyncio
import time
from typing import Literal

import structlog
from pydantic import BaseModel

from app.http.threads import Threads
from app.services import Services
from worker.errors import ServiceError
from worker.reconciler import RollCall
from worker.records.values import WorkerSeen

State = Literal["ok", "failing"]
_SECONDS = 1.0

log = structlog.get_logger()


class Ready(BaseModel):
    """Each part, and how many workers there are: none is no failure, jobs wait for one."""

    status: State
    database: State
    blobs: State
    workers: int | None


class Readiness:
    """What was found last, and when."""

    def __init__(self, services: Services, database: Threads, files: Threads) -> None:
        self._services, self._database, self._files = services, database, files
        self._roll = RollCall(services.records.workers, services.settings.worker_seconds)
        self._lock = asyncio.Lock()
        self._until = 0.0
        self._found: Ready | None = None

    async def look(self) -> Ready:
        """The state of every part."""
        async with self._lock:
            if self._found is None or time.monotonic() >= self._until:
                self._found = await self._look()
                self._until = time.monotonic() + _SECONDS
            return self._found

    def living(self) -> tuple[WorkerSeen, ...]:
        """Workers that live: one that was killed says no goodbye, but its beat stands still. Raises ServiceError."""
        living, _ = self._roll.taken()
        return living

    async def _look(self) -> Ready:
        workers = await self._database.run(self._counted)
        stored = await self._files.run(self._blobs_work)
        return Ready(
            status="ok" if stored and workers is not None else "failing",
            database="failing" if workers is None else "ok",
            blobs="ok" if stored else "failing",
            workers=workers,
        )

    def _counted(self) -> int | None:
        try:
            return len(self.living())
        except ServiceError as error:
            log.error("not ready", part="database", reason=str(error))
            return None

    def _blobs_work(self) -> bool:
        try:
            self._services.blobs.check()
        except OSError as error:
            log.error("not ready", part="blobs", reason=repr(error))
            return False
        return True
