"""Applications that answer in their own ways, and a client of one over a real socket."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from tests.app.http.conftest import live
from tests.app.http.test_live_uploads import Raw

LARGE = 24_000_000  # more than the systems at both ends take ahead
BUFFER = 4096  # of those who take nothing
BODIES = {
    "with a length": b"Content-Length: 9\r\n\r\nsome body",
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\nsome \r\n4\r\nbody\r\n0\r\n\r\n",
}


class Answering:
    """An application that answers with `size` bytes, `piece` by piece; `now` is how many it answers at this moment."""

    def __init__(self, size: int = LARGE, piece: int = 64_000) -> None:
        self._size, self._piece = size, piece
        self.now = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        self.now += 1
        try:
            headers = [(b"content-length", str(self._size).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for left in range(self._size, 0, -self._piece):
                body, more = b"x" * min(self._piece, left), left > self._piece
                await send({"type": "http.response.body", "body": body, "more_body": more})
        finally:
            self.now -= 1


class Stream:
    """An application that answers, `seconds` after it was asked, with a stream that ends when its reader goes.

    `ended`: how many have.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds
        self.ended = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await asyncio.sleep(self._seconds)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"event", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.ended += 1


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body of the request, and says how many headers it had."""
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    headers = [(b"content-length", str(len(body)).encode()), (b"x-headers", str(len(scope["headers"])).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def late_echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers after a while."""
    assert scope["type"] == "http"
    await asyncio.sleep(0.3)
    await echo(scope, receive, send)


async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers at once."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@contextmanager
def connected(app: ASGIApp, idle_seconds: float = 30, buffer: int | None = None) -> Iterator[Raw]:
    """A client of a server of its own."""
    with live(app, idle_seconds) as url:
        raw = Raw(url, buffer)
        yield raw
        raw.close()


def bodies(answers: bytes) -> list[bytes]:
    """Bodies of answers of `echo`, each of which is some body or none."""
    return [answer.partition(b"\r\n\r\n")[2] for answer in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]
