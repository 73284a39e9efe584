"""One connection, with bounds where uvicorn has none: on heads, on bodies and answers nobody reads, on their number."""

import asyncio
import resource
from typing import Any, cast

from httptools import HttpRequestParser
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.http.error_answers import answer, status_of
from app.http.errors import HeadTooLarge, HeadTooSlow, HttpError, MalformedRequest
from app.http.heads import HEAD_BYTES, Head
from app.http.outgoing import Outgoing
from app.http.upgrades import Parser

_LINGER_SECONDS = 2.0
"""For a client to read why it was refused, while what it still sends is dropped."""


class Connection(HttpToolsProtocol):
    """Refuses with a problem what is no HTTP, heads that are too large (431) and those that do not come (408).

    Trailers are bounded as heads are, and nobody reads them.

    Closed are, after the keep-alive time: a connection on which nothing was ever asked, one that goes on sending the
    body of a request that was answered, and one that takes nothing of what waits for it. And one too many, at once:
    half of the descriptors this process may open stay free for files and databases.

    What uvicorn calls `cycle` is the request that came last; those before it may still wait for their answers.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.parser = cast(HttpRequestParser, Parser(self))
        self._head = Head()
        self._in_body, self._deaf = False, False  # deaf: nothing more is read
        self._answered: RequestResponseCycle | None = None  # the request whose turn it is, or was last
        self._no_more = False  # who is there has said that he sends nothing more
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
        self._break_off()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some more of it."""
        if self._deaf:
            return
        self._head.piece(len(data))
        super().data_received(data)
        if self._head.is_too_large() and not self._deaf:
            self._refuse_head()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Nothing more will come. Whether the connection stays: while somebody is answered who may still be there.

        Of a stream that goes on and on he is taken for gone: now, or at the next look where it has yet to begin.
        """
        self._no_more = True
        if self._in_body and not self._drop_queued():
            return False
        self._deaf = self._is_answering() and not self._is_streaming()
        return self._deaf

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._head.begin()
        self._expect()

    def on_url(self, url: bytes) -> None:
        """Some of its address. Raises ValueError, as `on_header` does: that ends the parser, and is refused."""
        self._head.line(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._head.line(len(name) + len(value) + len(": \r\n"))
        if not self._in_body:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Its head is here. Raises ValueError for one that is a proxy's business."""
        self._head.end()
        if self.parser.get_method() == b"CONNECT":
            raise ValueError("this is no proxy")
        if self.parser.should_upgrade():
            return
        self._expect_nothing()
        super().on_headers_complete()
        self._in_body = True
        if len(self.pipeline) == 1:
            self.flow.resume_reading()  # uvicorn stops reading here, and only who reads sees somebody go

    def on_chunk_header(self) -> None:
        """A chunk of its body comes next, or trailers."""
        self._head.begin()

    def on_body(self, body: bytes) -> None:
        """Some of its body."""
        self._head.end()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Its body is here."""
        if self.parser.should_upgrade():
            return
        self._head.end()
        self._in_body = False
        super().on_message_complete()
        if self.cycle.response_complete:
            self._expect()
        else:
            self._expect_nothing()

    def on_response_complete(self) -> None:
        """It was answered, maybe before its body was here."""
        was_last = not self.pipeline
        super().on_response_complete()
        if self._deaf and was_last:
            self.transport.close()
        elif self._in_body:
            self._expect()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        if self._head.is_too_large():
            self._refuse_head()
        else:
            self._refuse(MalformedRequest("this is not HTTP as it is spoken here."))

    def _refuse_head(self) -> None:
        self._refuse(HeadTooLarge(f"address and headers may have {HEAD_BYTES:,} bytes together, and trailers as many."))

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
        elif self._head.coming and not self._in_body and not self._deaf:
            self._refuse(HeadTooSlow(f"the head did not come within {self.timeout_keep_alive:g} seconds."))
        else:
            self.transport.close()

    def _look(self, outgoing: Outgoing) -> None:
        """See to it, now and then, that what was written is taken: until it is, closing would wait."""
        if self._no_more and self._is_streaming():
            self.transport.close()
        if outgoing.stands_still():
            self.transport.abort()
        else:
            self._next_look = self.loop.call_later(self.timeout_keep_alive, self._look, outgoing)

    def _is_answering(self) -> bool:
        return self._answered is not None and not self._answered.response_complete

    def _is_streaming(self) -> bool:
        answered = self._answered
        return answered is not None and not answered.response_complete and bool(answered.chunked_encoding)

    def _break_off(self) -> None:
        """Tell whoever answers, or reads the body for it, that nobody is there any more."""
        if self._answered is not None:
            self._answered.disconnected = True
            self._answered.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _drop_queued(self) -> bool:
        """Forget the request whose body is coming, if its turn has not come: whether that was so."""
        if not self.pipeline:
            return False
        self.pipeline.popleft()
        self._in_body = False
        return True

    def _refuse(self, error: HttpError) -> None:
        """Say so and hang up; after earlier requests of this connection were answered, only hang up."""
        self._deaf = True
        if self._in_body and self._drop_queued():
            return
        if self._is_answering():
            if not self._in_body:
                return
            self._break_off()
            if self.cycle.response_started:
                self.transport.close()
                return
        if not self._in_body or self._is_answering():  # else the request has its answer
            said = answer(error, "", {"Connection": "close"})
            headers = b"".join(name + b": " + value + b"\r\n" for name, value in said.raw_headers)
            self.transport.write(STATUS_LINE[status_of(error)] + headers + b"\r\n" + bytes(said.body))
        self.flow.resume_reading()
        self.transport.write_eof()
        self._expect_nothing()
        self._deadline = self.loop.call_later(_LINGER_SECONDS, self.transport.close)
