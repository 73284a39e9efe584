"""Who sends no more may still read."""

import time
from collections.abc import Callable

import pytest

from tests.app.http.answering import BODIES, BUFFER, LARGE, Answering, Stream, bodies, connected, echo, late_echo
from tests.app.http.conftest import until
from tests.app.http.test_live_uploads import Raw

GET = b"GET / HTTP/1.1\r\n\r\n"
HALF_A_BODY = b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nsome"


@pytest.mark.parametrize("request_", [GET, b"POST / HTTP/1.1\r\n" + BODIES["chunked"]])
@pytest.mark.parametrize("count", [1, 3])
def test_who_sends_no_more_is_answered_and_hung_up_on(request_: bytes, count: int) -> None:
    with connected(late_echo) as raw:
        raw.send(request_ * count)
        raw.send_no_more()
        assert len(bodies(raw.rest())) == count


def test_what_was_asked_before_what_is_no_http_is_answered() -> None:
    with connected(late_echo) as raw:
        raw.send(GET * 3 + b"this is no HTTP\r\n\r\n")
        assert len(bodies(raw.rest())) == 3


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


@pytest.mark.parametrize("before", [b"", GET * 3], ids=["alone", "behind others"])
def test_a_body_that_ends_half_way_has_no_answer(before: bytes) -> None:
    with connected(late_echo) as raw:
        raw.send(before + HALF_A_BODY)
        raw.send_no_more()
        assert len(bodies(raw.rest())) == before.count(b"GET")


def test_who_sends_no_more_before_he_asked_anything_is_hung_up_on() -> None:
    with connected(echo) as raw:
        raw.send(b"GET / HT")
        raw.send_no_more()
        assert raw.rest() == b""


@pytest.mark.parametrize("ending", [Raw.send_no_more, Raw.close], ids=["sends no more", "hangs up"])
@pytest.mark.parametrize(
    "behind", [b"", GET, HALF_A_BODY], ids=["alone", "a request behind it", "half a body behind it"]
)
def test_a_stream_ends_when_its_reader_goes(behind: bytes, ending: Callable[[Raw], None]) -> None:
    """Who sends no more has most likely gone, and nothing is written that would tell."""
    app = Stream()
    with connected(app) as raw:
        raw.send(GET)
        raw.read()
        raw.send(behind)
        ending(raw)
        until(lambda: app.ended == 1, seconds=5)


@pytest.mark.parametrize("count", [1, 2])
def test_a_stream_that_begins_when_its_reader_sends_no_more_ends(count: int) -> None:
    app = Stream(seconds=0.3)
    with connected(app, idle_seconds=1) as raw:
        raw.send(GET * count)
        raw.send_no_more()
        assert raw.rest().endswith(b"event\r\n")
        until(lambda: app.ended == 1)
