"""What a client makes of a server that cannot answer just now."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app import client as client_module
from app.client import Client, ServerError


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_LONGEST_LOOK", 0.01)


def answering(monkeypatch: pytest.MonkeyPatch, answers: Iterator[httpx.Response]) -> Client:
    """A client of a server that gives these answers."""
    real = httpx.Client

    def made(**options: Any) -> httpx.Client:
        return real(**options, transport=httpx.MockTransport(lambda _: next(answers)))

    monkeypatch.setattr(httpx, "Client", made)
    return Client("http://server")


def test_a_server_that_never_gets_ready_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = {"status": "failing", "database": "ok", "blobs": "failing", "workers": 1}
    with (
        answering(monkeypatch, (httpx.Response(503, json=failing) for _ in range(1000))) as client,
        pytest.raises(ServerError, match="blobs"),
    ):
        client.wait_until_ready(0.2)


def test_a_job_is_followed_through_times_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    later = [httpx.Response(status, json={"code": "later"}) for status in (503, 429, 502, 504)]
    ended = httpx.Response(200, json={"status": "succeeded"})
    with answering(monkeypatch, iter([*later, ended])) as client:
        assert list(client.follow("job")) == [{"status": "succeeded"}]


def test_a_job_that_is_not_there_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"code": "job-not-found", "title": "No such job", "detail": "there is no such job"}
    with answering(monkeypatch, iter([httpx.Response(404, json=problem)])) as client, pytest.raises(ServerError):
        next(client.follow("job"))
