"""One connection, with bounds where uvicorn has none: on heads, on bodies and answers nobody reads, on their number."""

import asyncio
import resource
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.http.errors import HeadTooLarge, HeadTooSlow, HttpError, MalformedRequest
from app.http.failures import answer, status_of
from app.http.outgoing import Outgoing

HEAD_BYTES = 64 << 10
"""Of the address and all headers of one request."""
_LINGER_SECONDS = 2.0
"""For a client to read why it was refused, while what it still sends is dropped."""


class Connection(HttpToolsProtocol):
    """Refuses with a problem what is no HTTP, heads that are too large (431) and those that do not come (408).

    Closed are, after the keep-alive time: a connection on which nothing was ever asked, one that goes on sending the
    body of a request that was answered, and one that takes nothing of what waits for it. And one too many, at once:
    half of the descriptors this process may open stay free for files and databases.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._heads, self._head_bytes = 0, 0
        self._in_head, self._in_body, self._refused, self._head_too_large = False, False, False, False
        self._deadline: asyncio.TimerHandle | None = None
        self._next_look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Somebody is there."""
        outgoing = Outgoing(transport)
        super().connection_made(cast(asyncio.Transport, outgoing))
        self._look(outgoing)
        if len(self.connections) > resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2:
            transport.abort()
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there."""
        self._expect_nothing()
        if self._next_look is not None:
            self._next_look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some more of it."""
        if self._refused:
            return
        heads = self._heads
        super().data_received(data)
        if self._in_head and not self._refused:
            # what of this piece came before the head is unknown: it is counted from the next piece on
            self._head_bytes = self._head_bytes + len(data) if heads == self._heads else 0
            if self._head_bytes > HEAD_BYTES:
                self._refuse_head()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._heads += 1
        self._in_head = True
        self._expect()

    def on_headers_complete(self) -> None:
        """Its head is here."""
        self._in_head, self._in_body = False, True
        self._expect_nothing()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        self._head_too_large = size > HEAD_BYTES
        if self._head_too_large:
            raise ValueError("the head is too large")  # ends the parser; what it says comes to send_400_response
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Its body is here."""
        self._in_body = False
        super().on_message_complete()
        if self.cycle.response_complete:
            self._expect()
        else:
            self._expect_nothing()

    def on_response_complete(self) -> None:
        """It was answered, maybe before its body was here."""
        super().on_response_complete()
        if self._refused and not self.pipeline:
            self.transport.close()
        elif self._in_body:
            self._expect()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        if self._head_too_large:
            self._refuse_head()
        else:
            self._refuse(MalformedRequest("this is not HTTP as it is spoken here."))

    def _refuse_head(self) -> None:
        self._refuse(HeadTooLarge(f"address and headers may have {HEAD_BYTES:,} bytes together."))

    def _expect(self) -> None:
        """The next step has to come within the keep-alive time."""
        self._expect_nothing()
        self._deadline = self.loop.call_later(self.timeout_keep_alive, self._too_late)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        if self._is_answering():
            self._expect()
        elif self._in_head and not self._refused:
            self._refuse(HeadTooSlow(f"the head did not come within {self.timeout_keep_alive:g} seconds."))
        else:
            self.transport.close()

    def _look(self, outgoing: Outgoing) -> None:
        """See to it, now and then, that what was written is taken: until it is, closing would wait."""
        if outgoing.stands_still():
            self.transport.abort()
        else:
            self._next_look = self.loop.call_later(self.timeout_keep_alive, self._look, outgoing)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, error: HttpError) -> None:
        """Say so and hang up; after earlier requests of this connection were answered, only hang up."""
        self._refused = True
        if self._in_body and self.pipeline:
            self.pipeline.popleft()  # its answer had not begun
            return
        if self._is_answering():
            if not self._in_body:
                return
            self.cycle.disconnected = True  # so whoever reads the body learns that it broke off
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self.flow.resume_reading()
        said = answer(error, "", {"Connection": "close"})
        headers = b"".join(name + b": " + value + b"\r\n" for name, value in said.raw_headers)
        self.transport.write(STATUS_LINE[status_of(error)] + headers + b"\r\n" + bytes(said.body))
        self.transport.write_eof()
        self._expect_nothing()
        self._deadline = self.loop.call_later(_LINGER_SECONDS, self.transport.close)
