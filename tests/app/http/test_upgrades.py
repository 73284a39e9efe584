"""Requests that ask for another protocol."""

import time

import pytest

from tests.app.http.answering import BODIES, bodies, connected, echo
from tests.app.http.conftest import live
from tests.app.http.test_live_uploads import Raw

UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    "web socket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n",
    "two": b"Upgrade: TLS/1.0\r\nUpgrade: other\r\nConnection: upgrade\r\n",
}
LAST = b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_who_asks_for_another_protocol_is_answered_as_if_he_had_not(upgrade: bytes, body: bytes) -> None:
    request = b"POST / HTTP/1.1\r\n" + upgrade + body
    with connected(echo) as raw:
        raw.send(request * 3 + LAST)
        assert bodies(raw.rest()) == [b"some body"] * 3 + [b""]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_wherever_such_a_request_is_cut_it_is_the_same(body: bytes) -> None:
    request = b"POST / HTTP/1.1\r\n" + UPGRADES["h2c"] + body
    with live(echo) as url:
        for cut in range(1, len(request) + 1, 6):
            raw = Raw(url)
            raw.send(request[:cut])
            time.sleep(0.005)
            raw.send(request[cut:] + LAST)
            assert bodies(raw.rest()) == [b"some body", b""]
            raw.close()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_such_a_request_may_be_the_last(version: bytes) -> None:
    with connected(echo) as raw:
        raw.send(
            b"PUT /x?y HTTP/%s\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n" % version + BODIES["with a length"]
        )
        assert bodies(raw.rest()) == [b"some body"]


def test_bodies_of_such_requests_are_read_to_the_end() -> None:
    size = 5_000_000
    with connected(echo) as raw:
        raw.send(b"POST / HTTP/1.1\r\n" + UPGRADES["h2c"] + b"Content-Length: %d\r\n\r\n" % size + bytes(size) + LAST)
        assert [len(body) for body in bodies(raw.rest())] == [size, 0]
