"""What a client makes of answers: refusals are said once, and what is no answer of this service is said to be none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import httpx
import pytest

from app.client import Client, ServerError, shapes
from app.client.errors import Refused
from micronet.contract import ScoreSettings
from tests.app.unreliable import Cut, Network, a_job, answering, connected
from worker.records import values


def test_statuses_are_those_of_the_records() -> None:
    assert get_args(shapes.Status) == tuple(values.Status)
    assert set(shapes.FINAL) == values.FINAL


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ([], "a: no; b: no"),
        ([{"pointer": "a", "detail": "no"}, {"pointer": "b", "detail": "no"}], "a: no; b: no"),
        ([{"pointer": "c", "detail": "never"}, {"detail": "not at all"}], "a: no; b: no; c: never; not at all"),
    ],
)
def test_each_fault_is_said_once(monkeypatch: pytest.MonkeyPatch, faults: list[dict[str, str]], said: str) -> None:
    problem = {"code": "invalid-settings", "title": "Not valid", "detail": "a: no; b: no", "errors": faults}
    with answering(monkeypatch, [httpx.Response(422, json=problem)]) as client, pytest.raises(ServerError) as raised:
        client.job("1")
    assert str(raised.value) == said


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, html="<h1>Log in</h1>"),
        httpx.Response(200, json=["no", "object"]),
        httpx.Response(302, headers={"Location": "/login"}),
        httpx.Response(404, json=["no", "problem"]),
    ],
)
def test_what_is_no_micronet_server_is_said_to_be_none(monkeypatch: pytest.MonkeyPatch, answer: httpx.Response) -> None:
    with answering(monkeypatch, [answer]) as client, pytest.raises(ServerError) as raised:
        client.job("1")
    assert raised.value.yours


WRONG = [a_job() | wrong for wrong in ({"stage": "1/3"}, {"progress": {"done": 1.5, "total": 2, "unit": None}})]


WRONG += [a_job(status="failed"), a_job(urls={"page": "elsewhere"}), {"id": "x"}, {"a": 1}]


WRONG += [a_job(artifacts=[{"name": "a\0", "sha256": "", "size": 1, "url": "/blobs/1"}])]


WRONG += [a_job(artifacts=[{"name": "a", "sha256": "", "size": 1, "url": "http://elsewhere/"}])]


def one(kind: str) -> Callable[[Client], object]:
    return lambda client: client.submit(kind, None, ScoreSettings())


def each(name: str, *given: str) -> Callable[[Client], object]:
    return lambda client: list(getattr(client, name)(*given))


@pytest.mark.parametrize(
    ("ask", "answered"),
    [
        *((ask, job) for ask in (one("score"), each("follow", "1"), Client.job, Client.cancel) for job in WRONG[-4:]),
        *((Client.job, job) for job in WRONG),
        *((each("jobs"), {"jobs": [job], "next": None}) for job in WRONG),
        *((each("jobs"), page) for page in ({"a": 1}, {"jobs": None, "next": None}, {"jobs": []})),
        *((each("jobs"), {"jobs": [], "next": address}) for address in (1, "http://elsewhere/", "//elsewhere", "")),
        *((each("leaderboard", "digits"), page) for page in ({"a": 1}, {"entries": [{"rank": 1}], "next": None})),
        *((each("tracks"), page) for page in ({"a": 1}, {"tracks": [{"name": "digits"}]})),
    ],
)
def test_json_that_is_not_of_this_service_is_said_to_be_none(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[..., object], answered: object
) -> None:
    given = ("1",) if ask in (Client.job, Client.cancel) else ()
    with answering(monkeypatch, [httpx.Response(200, json=answered)]) as client, pytest.raises(ServerError) as raised:
        ask(client, *given)
    assert (raised.value.code, raised.value.yours) == ("no-micronet", True)


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"1" * 5000, b'{"a":' * 100_000, b"\xff", b"", b'{"next": 1e999}', b"null"]
)
@pytest.mark.parametrize("status", [200, 403])
def test_json_that_cannot_be_read_is_none_of_this_service(
    monkeypatch: pytest.MonkeyPatch, content: bytes, status: int
) -> None:
    answer = httpx.Response(status, content=content)
    with answering(monkeypatch, [answer]) as client, pytest.raises(ServerError) as raised:
        client.job("1")
    assert raised.value.code == ("no-micronet" if status == 200 else "server")


OURS = {"code": "no", "title": "No", "detail": "not you"}


@pytest.mark.parametrize(
    "foreign",
    [
        {"errors": ["bad gateway config"]},
        {"errors": None},
        {"title": "Forbidden", "detail": "no code"},
        OURS | {"errors": ["bad gateway config"]},
        OURS | {"errors": [{"pointer": "/a"}]},
        OURS | {"errors": {"a": 1}},
        OURS | {"code": ["no"]},
        OURS | {"title": None},
    ],
)
def test_a_refusal_that_is_not_of_this_service_is_shown_as_it_came(
    monkeypatch: pytest.MonkeyPatch, foreign: dict[str, object]
) -> None:
    answer = httpx.Response(403, json=foreign)
    with answering(monkeypatch, [answer]) as client, pytest.raises(ServerError) as raised:
        client.job("1")
    assert isinstance(raised.value, Refused)
    assert str(raised.value) == f"http://server/jobs/1 answered 403: {answer.text}"


def test_a_refusal_may_list_no_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = httpx.Response(403, json=OURS | {"errors": None})
    with answering(monkeypatch, [answer]) as client, pytest.raises(ServerError, match=r"^not you$"):
        client.job("1")


def test_what_cannot_be_unpacked_is_none_of_this_service(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip"))

    with connected(monkeypatch, httpx.MockTransport(answer)) as client, pytest.raises(ServerError) as raised:
        client.job("1")
    assert raised.value.code == "no-micronet"


@pytest.mark.parametrize(
    ("named", "path"),
    [("a/../b?c", b"/jobs/a%2F..%2Fb%3Fc"), ("\0", b"/jobs/%00"), ("\udcff", b"/jobs/%FF"), ("a b", b"/jobs/a%20b")],
)
def test_whatever_is_typed_as_an_id_is_asked_for(monkeypatch: pytest.MonkeyPatch, named: str, path: bytes) -> None:
    network = Network(beyond=httpx.MockTransport(lambda _: httpx.Response(200, json=a_job())))
    with connected(monkeypatch, network) as client:
        client.job(named)
        with pytest.raises(ServerError, match="too long"):
            client.job("1" * 100_000)
    assert [request.url.raw_path for request in network.requests] == [path]


def test_a_file_keeps_its_name_and_is_sent_ahead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "é.onnx"
    path.write_bytes(b"content")
    network = Network(iter([None, Cut(3), None]), httpx.MockTransport(_reading))
    with connected(monkeypatch, network) as client:
        client.submit("score", path, ScoreSettings())
    put, *posts = network.requests
    assert (put.method, put.content) == ("PUT", b"content")
    form = posts[-1].content.decode()
    assert 'name="filename"\r\n\r\né.onnx\r\n' in form
    assert f'name="checkpoint_sha256"\r\n\r\n{put.url.path.rpartition("/")[2]}\r\n' in form
    assert [post.method for post in posts] == ["POST", "POST"]


def _reading(request: httpx.Request) -> httpx.Response:
    request.read()
    return httpx.Response(202, content=json.dumps(a_job()))
