"""Connections over real sockets: what is not taken, what ends half way, and what asks to be something else."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.app.http.conftest import live, until
from tests.app.http.test_live_uploads import Raw

LARGE = 24_000_000  # more than the systems at both ends take ahead
BUFFER = 4096  # of those who take nothing


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


@contextmanager
def connected(app: ASGIApp, idle_seconds: float = 30, buffer: int | None = None) -> Iterator[Raw]:
    with live(app, idle_seconds) as url:
        raw = Raw(url, buffer)
        yield raw
        raw.close()


@pytest.mark.parametrize("requests", [1, 9])
def test_who_takes_nothing_of_an_answer_is_hung_up_on(requests: int) -> None:
    app = Answering()
    with connected(app, idle_seconds=1, buffer=BUFFER) as raw:
        for _ in range(requests):
            raw.begin("GET", "/")
        until(lambda: app.now == 1)
        until(lambda: app.now == 0, seconds=20)
        assert len(raw.rest()) < LARGE


def test_who_takes_nothing_of_what_was_written_to_the_end_is_hung_up_on() -> None:
    """Nobody waits to write more, and closing waits for what was written to be taken."""
    with connected(Answering(piece=LARGE), idle_seconds=1, buffer=BUFFER) as raw:
        raw.begin("GET", "/")
        time.sleep(4)
        assert len(raw.rest()) < LARGE


def test_who_takes_nothing_is_hung_up_on_after_a_refusal_too() -> None:
    with connected(Answering(piece=LARGE), idle_seconds=1, buffer=BUFFER) as raw:
        raw.begin("GET", "/")
        time.sleep(0.1)
        raw.send(b"this is no HTTP\r\n\r\n")
        time.sleep(4)
        assert len(raw.rest()) < LARGE


def test_a_slow_reader_gets_all_of_it() -> None:
    """What he takes in seconds is less than his and our system keep for him, so what waits stands still meanwhile."""
    size, taken = 8_000_000, 0
    with connected(Answering(size), idle_seconds=1, buffer=64_000) as raw:
        raw.begin("GET", "/", Connection="close")
        end = time.monotonic() + 6
        while time.monotonic() < end:
            taken += len(raw.read(20_000))
            time.sleep(0.1)
        assert taken + len(raw.rest()) > size


def test_a_stream_with_nothing_to_tell_stays() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for event in (b"first", b"second"):
            await send({"type": "http.response.body", "body": event, "more_body": True})
            await asyncio.sleep(4)
        await send({"type": "http.response.body", "body": b""})

    with connected(app, idle_seconds=1) as raw:
        raw.begin("GET", "/", Connection="close")
        assert raw.rest().endswith(b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n")


async def quick(scope: Scope, receive: Receive, send: Send) -> None:
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


async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers at once."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


LINES = [b"X: %s\r\n" % (b"y" * 94)] * 1000
ONE_LINE = [b"X: ", *[b"y" * 1000] * 600]  # more than comes in one piece


@pytest.mark.parametrize("trailers", [LINES, [b"".join(LINES)], ONE_LINE], ids=["lines", "one piece", "one line"])
@pytest.mark.parametrize("chunks", [(), (b"some", b"more")])
def test_trailers_are_bounded_as_heads_are(trailers: list[bytes], chunks: tuple[bytes, ...]) -> None:
    with connected(quick) as raw:
        raw.begin("POST", "/", Transfer_Encoding="chunked")
        for chunk in chunks:
            raw.chunk(chunk)
        raw.send(b"0\r\n")
        for piece in trailers:
            raw.send(piece)
        status, content = raw.answer()
        assert (status, content["code"]) == (431, "head-too-large")
        assert raw.rest() == b""


def test_trailers_of_a_request_that_was_answered_are_bounded_too() -> None:
    with connected(hasty) as raw:
        raw.begin("POST", "/", Transfer_Encoding="chunked")
        raw.send(b"0\r\n")
        for piece in LINES:
            raw.send(piece)
        assert raw.rest().count(b"HTTP/1.1") == 1


def test_trailers_are_no_headers() -> None:
    with connected(quick) as raw:
        raw.begin("POST", "/", Transfer_Encoding="chunked", Connection="close")
        raw.chunk(b"body")
        raw.send(b"0\r\nX: y\r\nAuthorization: z\r\n\r\n")
        head, _, body = raw.rest().partition(b"\r\n\r\n")
        assert b"x-headers: 3" in head.split(b"\r\n")
        assert body == b"body"


def test_many_chunks_are_no_trailers() -> None:
    with connected(quick) as raw:
        raw.begin("POST", "/", Transfer_Encoding="chunked", Connection="close")
        for _ in range(100):
            raw.chunk(b"x" * 10_000)
        raw.send(b"0\r\n\r\n")
        assert raw.rest().endswith(b"\r\n\r\n" + b"x" * 1_000_000)


def test_a_head_that_cannot_be_served_is_refused() -> None:
    with connected(quick) as raw:
        raw.begin("CONNECT", "example.org:443")
        status, content = raw.answer()
        assert (status, content["code"]) == (400, "malformed-request")
        assert raw.rest() == b""


@pytest.mark.parametrize("lines", [LINES, [b"".join(LINES)], ONE_LINE], ids=["lines", "one piece", "one line"])
@pytest.mark.parametrize("address", ["/", "/" + "x" * 50_000])
def test_heads_are_bounded(lines: list[bytes], address: str) -> None:
    with connected(quick) as raw:
        raw.send(b"GET %s HTTP/1.1\r\n" % address.encode())
        for piece in lines:
            raw.send(piece)
        raw.send(b"\r\n\r\n")
        status, content = raw.answer()
        assert (status, content["code"]) == (431, "head-too-large")


def test_a_head_below_the_bound_is_read_however_it_comes() -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + b"".join(LINES[:650]) + b"\r\n"
    for size in (1000, 40_000, len(head)):
        with connected(quick) as raw:
            for place in range(0, len(head), size):
                raw.send(head[place : place + size])
                time.sleep(0.005)
            assert raw.rest().startswith(b"HTTP/1.1 200")


UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    "web socket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n",
    "two": b"Upgrade: TLS/1.0\r\nUpgrade: other\r\nConnection: upgrade\r\n",
}
BODIES = {
    "with a length": b"Content-Length: 9\r\n\r\nsome body",
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\nsome \r\n4\r\nbody\r\n0\r\n\r\n",
}
LAST = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"


def _bodies(answers: bytes) -> list[bytes]:
    """Bodies of answers of `quick`, each of which is some body or none."""
    return [answer.partition(b"\r\n\r\n")[2] for answer in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_who_asks_for_another_protocol_is_answered_as_if_he_had_not(upgrade: bytes, body: bytes) -> None:
    request = b"POST / HTTP/1.1\r\n" + upgrade + body
    with connected(quick) as raw:
        raw.send(request * 3 + LAST)
        assert _bodies(raw.rest()) == [b"some body"] * 3 + [b""]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_wherever_such_a_request_is_cut_it_is_the_same(body: bytes) -> None:
    request = b"POST / HTTP/1.1\r\n" + UPGRADES["h2c"] + body
    with live(quick) as url:
        for cut in range(1, len(request) + 1, 6):
            raw = Raw(url)
            raw.send(request[:cut])
            time.sleep(0.005)
            raw.send(request[cut:] + LAST)
            assert _bodies(raw.rest()) == [b"some body", b""]
            raw.close()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_such_a_request_may_be_the_last(version: bytes) -> None:
    with connected(quick) as raw:
        raw.send(
            b"PUT /x?y HTTP/%s\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n" % version + BODIES["with a length"]
        )
        assert _bodies(raw.rest()) == [b"some body"]


def test_such_a_request_has_its_other_headers() -> None:
    with connected(quick) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: close, upgrade\r\nX: \xff : y\r\n\r\n")
        assert b"x-headers: 3" in raw.rest().split(b"\r\n")


def test_bodies_of_such_requests_are_read_to_the_end() -> None:
    size = 5_000_000
    with connected(quick) as raw:
        raw.send(b"POST / HTTP/1.1\r\n" + UPGRADES["h2c"] + b"Content-Length: %d\r\n\r\n" % size + bytes(size) + LAST)
        assert [len(body) for body in _bodies(raw.rest())] == [size, 0]


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers after a while."""
    assert scope["type"] == "http"
    await asyncio.sleep(0.3)
    await quick(scope, receive, send)


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\n\r\n", b"POST / HTTP/1.1\r\n" + BODIES["chunked"]])
@pytest.mark.parametrize("count", [1, 3])
def test_who_sends_no_more_is_answered_and_hung_up_on(request_: bytes, count: int) -> None:
    with connected(slow) as raw:
        raw.send(request_ * count)
        raw.send_no_more()
        assert len(_bodies(raw.rest())) == count


def test_what_was_asked_before_what_is_no_http_is_answered() -> None:
    with connected(slow) as raw:
        raw.send(b"GET / HTTP/1.1\r\n\r\n" * 3 + b"this is no HTTP\r\n\r\n")
        assert len(_bodies(raw.rest())) == 3


def test_who_sends_no_more_gets_all_of_a_large_answer() -> None:
    with connected(Answering()) as raw:
        raw.begin("GET", "/")
        raw.send_no_more()
        time.sleep(0.2)
        assert len(raw.rest()) > LARGE


def test_who_sends_no_more_and_takes_nothing_is_hung_up_on() -> None:
    app = Answering()
    with connected(app, idle_seconds=1, buffer=BUFFER) as raw:
        raw.begin("GET", "/")
        raw.send_no_more()
        until(lambda: app.now == 1)
        until(lambda: app.now == 0, seconds=20)


@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\n\r\n" * 3], ids=["alone", "behind others"])
def test_a_body_that_ends_half_way_has_no_answer(before: bytes) -> None:
    with connected(slow) as raw:
        raw.send(before + b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nsome")
        raw.send_no_more()
        assert len(_bodies(raw.rest())) == before.count(b"GET")


def test_who_sends_no_more_before_he_asked_anything_is_hung_up_on() -> None:
    with connected(quick) as raw:
        raw.send(b"GET / HT")
        raw.send_no_more()
        assert raw.rest() == b""


def test_a_stream_ends_when_its_reader_sends_no_more() -> None:
    """He has most likely gone, and nothing is written that would tell."""
    ended: list[float] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"event", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        ended.append(time.monotonic())

    with connected(app) as raw:
        raw.begin("GET", "/")
        raw.read()
        raw.send_no_more()
        until(lambda: ended, seconds=5)
