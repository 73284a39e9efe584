"""Bytes of a body on their way to a disk, gathered so that a thread is asked for a MiB and not for every packet."""

import asyncio
from collections.abc import Callable

from app.http.threads import Threads
from worker.blobs.port import CHUNK


class Gathering:
    """Gathers pieces to a MiB; while a thread has `append` write one, the next is gathered.

    After a write that failed nothing more is written, so what was written is always a beginning of what came.
    """

    def __init__(self, threads: Threads, append: Callable[[bytearray], None]) -> None:
        self._threads, self._append = threads, append
        self._gathered = bytearray()
        self._writing: asyncio.Future[None] | None = None

    async def write(self, data: bytes | memoryview) -> None:
        """The next bytes. Raises what an earlier `append` raised."""
        self._gathered += data
        if len(self._gathered) >= CHUNK:
            await self._flush()

    async def finish(self) -> None:
        """Write what is left and wait for it. Raises what `append` raises."""
        await self._flush()
        await self._written()

    async def give_up(self) -> None:
        """Wait for what is being written, however it ends; what is left is dropped."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
            self._writing.exception()  # seen; what counts is why it was given up

    async def _flush(self) -> None:
        await self._written()
        data, self._gathered = self._gathered, bytearray()
        self._writing = self._threads.start(self._append, data)

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)
            self._writing = None
