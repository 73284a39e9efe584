"""Reading a request's body as it comes: bounded in size, and in how long it may stand still."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request

from app.http.errors import BodyTooLarge, ClientGone, ClientTooSlow


def announced_length(request: Request, limit: int) -> int | None:
    """Content-Length, where there is one. Raises BodyTooLarge at once if it is over `limit` bytes."""
    text = request.headers.get("content-length", "")
    if not text.isdecimal():
        return None
    if len(text) > 18 or int(text) > limit:
        raise BodyTooLarge(f"the body is of {text[:40]} bytes; at most {limit:,} are read.")
    return int(text)


async def body_chunks(request: Request, limit: int, idle_seconds: float) -> AsyncIterator[bytes]:
    """The body, piece by piece. Raises BodyTooLarge, ClientTooSlow, ClientGone."""
    size, more = 0, True
    while more:
        try:
            async with asyncio.timeout(idle_seconds):
                message = await request.receive()
        except TimeoutError:
            raise ClientTooSlow(f"no byte came for {idle_seconds:g} seconds; send the request again.") from None
        if message["type"] == "http.disconnect":
            raise ClientGone("the connection ended before the body did.")
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge(f"more than {limit:,} bytes came; no more are read.")
        if chunk:
            yield chunk
