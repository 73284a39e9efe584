"""Heads of requests, and trailers of their bodies: how large they may be."""

import time

import pytest

from tests.app.http.answering import connected, echo, hasty

LINES = [b"X: %s\r\n" % (b"y" * 94)] * 1000
ONE_LINE = [b"X: ", *[b"y" * 1000] * 600]  # more than comes in one piece


@pytest.mark.parametrize("trailers", [LINES, [b"".join(LINES)], ONE_LINE], ids=["lines", "one piece", "one line"])
@pytest.mark.parametrize("chunks", [(), (b"some", b"more")])
def test_trailers_are_bounded_as_heads_are(trailers: list[bytes], chunks: tuple[bytes, ...]) -> None:
    with connected(echo) as raw:
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
    with connected(echo) as raw:
        raw.begin("POST", "/", Transfer_Encoding="chunked", Connection="close")
        raw.chunk(b"body")
        raw.send(b"0\r\nX: y\r\nAuthorization: z\r\n\r\n")
        head, _, body = raw.rest().partition(b"\r\n\r\n")
        assert b"x-headers: 3" in head.split(b"\r\n")
        assert body == b"body"


def test_many_chunks_are_no_trailers() -> None:
    with connected(echo) as raw:
        raw.begin("POST", "/", Transfer_Encoding="chunked", Connection="close")
        for _ in range(100):
            raw.chunk(b"x" * 10_000)
        raw.send(b"0\r\n\r\n")
        assert raw.rest().endswith(b"\r\n\r\n" + b"x" * 1_000_000)


def test_a_head_that_cannot_be_served_is_refused() -> None:
    with connected(echo) as raw:
        raw.begin("CONNECT", "example.org:443")
        status, content = raw.answer()
        assert (status, content["code"]) == (400, "malformed-request")
        assert raw.rest() == b""


@pytest.mark.parametrize("lines", [LINES, [b"".join(LINES)], ONE_LINE], ids=["lines", "one piece", "one line"])
@pytest.mark.parametrize("address", ["/", "/" + "x" * 50_000])
def test_heads_are_bounded(lines: list[bytes], address: str) -> None:
    with connected(echo) as raw:
        raw.send(b"GET %s HTTP/1.1\r\n" % address.encode())
        for piece in lines:
            raw.send(piece)
        raw.send(b"\r\n\r\n")
        status, content = raw.answer()
        assert (status, content["code"]) == (431, "head-too-large")


def test_a_head_below_the_bound_is_read_however_it_comes() -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + b"".join(LINES[:650]) + b"\r\n"
    for size in (1000, 40_000, len(head)):
        with connected(echo) as raw:
            for place in range(0, len(head), size):
                raw.send(head[place : place + size])
                time.sleep(0.005)
            assert raw.rest().startswith(b"HTTP/1.1 200")


def test_such_a_request_has_its_other_headers() -> None:
    with connected(echo) as raw:
        raw.send(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: close, upgrade\r\nX: \xff : y\r\n\r\n")
        assert b"x-headers: 3" in raw.rest().split(b"\r\n")
