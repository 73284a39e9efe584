"""Who takes nothing of his answer is hung up on; who takes little, or has nothing to take, is not."""

import asyncio
import time

import pytest
from starlette.types import Receive, Scope, Send

from tests.app.http.answering import BUFFER, LARGE, Answering, connected
from tests.app.http.conftest import until


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
