"""Files on their way to a client, read by threads."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import BinaryIO

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.http.threads import Threads
from worker.blobs.port import CHUNK


class Download(Response):
    """`size` bytes of an open file, until the client has them or is gone; then whatever `held` holds is let go.

    No read is canceled, so the last one has ended when the file is closed.
    """

    media_type = "application/octet-stream"

    def __init__(
        self,
        file: BinaryIO,
        size: int,
        threads: Threads,
        held: AsyncExitStack,
        *,
        status: int,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(status_code=status, headers=headers)
        self._file, self._size, self._threads, self._held = file, size, threads, held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Raises EOFError for a file that is too short, OSError for one that cannot be read."""
        async with self._held:
            gone = asyncio.create_task(_gone(receive), name="see a client go")
            try:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                async for piece in self._pieces():
                    if gone.done():
                        return
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                gone.cancel()

    async def _pieces(self) -> AsyncIterator[bytes]:
        left = self._size
        while left > 0:
            piece = await self._threads.run(self._file.read, min(CHUNK, left))
            if not piece:
                raise EOFError(f"a stored file is {left} bytes too short")
            left -= len(piece)
            yield piece


async def _gone(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
