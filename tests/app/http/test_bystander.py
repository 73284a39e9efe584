"""Who looks on notices a server that keeps him waiting, and takes no busy machine for one."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.app.http import bystander
from tests.app.http.bystander import Bystander
from tests.app.http.conftest import live, until


def compute() -> None:
    """On the loop, for half a second of a processor."""
    end = time.thread_time() + 0.5
    while time.thread_time() < end:
        sum(range(1000))


def serving(before: Callable[[], object], status: int = 200) -> ASGIApp:
    """A server that does something on its loop before each answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            before()
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})

    return app


def stops(app: ASGIApp, how: AbstractContextManager[object]) -> None:
    with live(app) as url:
        asking = Bystander(url)
        asking.start()
        until(lambda: len(asking.asked) > 2)
        with how:
            asking.stop()


@pytest.mark.parametrize(
    "app",
    [serving(compute), serving(lambda: time.sleep(0.4)), serving(lambda: None, status=503)],
    ids=["computes", "waits", "refuses"],
)
def test_who_is_kept_waiting_says_so(app: ASGIApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bystander, "PATIENCE", 0.2)
    monkeypatch.setattr(bystander, "LONGEST", 0.3)
    stops(app, pytest.raises(AssertionError))


def test_an_answer_that_only_took_long_was_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where others compute: the server gets its share of the processors late."""
    monkeypatch.setattr(bystander, "PATIENCE", 0.2)
    stops(serving(lambda: time.sleep(0.4)), nullcontext())
