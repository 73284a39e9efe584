"""What a client makes of a server that cannot answer just now, or never will."""

import hashlib
import io
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.client import Client, Later, ServerError
from app.client.connection import Patience
from micronet.contract import ScoreSettings
from tests.app.unreliable import Cut, Fault, Lost, Network, Refused, a_job, answering, connected, hurry

PROBLEM = {"code": "later", "title": "Later", "detail": "not now"}
ENDED = httpx.Response(200, json=a_job(status="succeeded"))


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def test_a_server_that_never_gets_ready_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = {"status": "failing", "database": "ok", "blobs": "failing", "workers": 1}
    with (
        answering(monkeypatch, (httpx.Response(503, json=failing) for _ in range(1000))) as client,
        pytest.raises(ServerError, match="blobs"),
    ):
        client.wait_until_ready(0.2)


def test_a_job_is_followed_through_times_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    later = [httpx.Response(status, json=PROBLEM) for status in (503, 429, 502, 504)]
    with answering(monkeypatch, iter([*later, ENDED])) as client:
        assert list(client.follow("job")) == [a_job(status="succeeded")]


def test_a_job_that_is_not_there_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = {"code": "job-not-found", "title": "No such job", "detail": "there is no such job"}
    with answering(monkeypatch, iter([httpx.Response(404, json=problem)])) as client, pytest.raises(ServerError):
        next(client.follow("job"))


@pytest.mark.parametrize("code", ["storage-quota", "dataset-missing"])
def test_what_somebody_has_to_do_something_about_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    problem = httpx.Response(429, json={"code": code, "title": "No", "detail": "no"})
    with answering(monkeypatch, [problem]) as client, pytest.raises(ServerError) as raised:
        client.job("1")
    assert (raised.value.code, isinstance(raised.value, Later)) == (code, False)


def test_a_server_nobody_ever_met_is_not_waited_for_and_one_that_was_is(monkeypatch: pytest.MonkeyPatch) -> None:
    mock = httpx.MockTransport(lambda _: httpx.Response(200, json=a_job()))
    with connected(monkeypatch, Network(iter([Refused(), None]), mock)) as client:
        with pytest.raises(ServerError) as raised:
            client.job("1")
        assert (raised.value.code, raised.value.yours, isinstance(raised.value, Later)) == ("unreachable", False, False)
    network = Network(iter([None, Refused(), Refused(), Lost(), 502, None]), mock)
    with connected(monkeypatch, network) as client:
        assert client.job("1") == client.job("1") == a_job()
        assert len(network.requests) == 6


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


def test_a_server_that_does_not_answer_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://me:secret@server:8000/scores/"
    network = Network(
        iter([Refused(), None, Refused()]), httpx.MockTransport(lambda _: httpx.Response(200, json=a_job()))
    )
    with connected(monkeypatch, network, url, patience=0) as client:
        with pytest.raises(
            ServerError, match=r"^http://server:8000/scores: nobody listens\. .*MICRONET_SERVER"
        ) as raised:
            client.job("1")
        client.job("1")
        with pytest.raises(Later) as later:
            client.job("1")
        assert client.page({"urls": {"page": "/ui/jobs/1"}}) == "http://server:8000/scores/ui/jobs/1"
    assert str(later.value) == "http://server:8000/scores: nobody listens"
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://bob:hunter2@server:x", "'http://server:x': Invalid port: 'x'"),
        ("http://bob:hunter2@[::1", r"'http://\[::1': Invalid port"),
        ("http://bob:hunter2/@server", "'http://server': .*%2F"),
        ("http://bob:hunter2#@server:80", "'http://server:80': .*%2F"),
        ("http:///bob:hunter2@server", "begins with http:// or https://"),
        ("http://bob:hunter2@", "begins with http:// or https://"),
        ("bob:hunter2@server", "'server': .*begins with http:// or https://"),
        ("//bob:hunter2@server", "begins with http:// or https://"),
        ("ftp://bob:hunter2@server", "'ftp://server': .*begins with http:// or https://"),
    ],
)
def test_what_is_no_address_is_told_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ServerError, match=said) as raised:
        Client(url)
    assert (raised.value.code, "hunter2" in str(raised.value)) == ("request", False)


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
@pytest.mark.parametrize(
    "proxy", ["gopher://bob:hunter2@proxy", "http://bob:hunter2@proxy:x", "http://bob:hunter2/@proxy"]
)
def test_a_proxy_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch, name: str, proxy: str) -> None:
    monkeypatch.setenv(name, proxy)
    with pytest.raises(ServerError, match="the proxy that the environment names cannot be used") as raised:
        Client("http://server")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("status", [200, 404])
def test_what_is_no_server_of_ours_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    somebody = httpx.MockTransport(lambda _: httpx.Response(status, html="<h1>Log in</h1>"))
    with (
        connected(monkeypatch, somebody, "http://bob:hunter2@server") as client,
        pytest.raises(ServerError, match="Log in") as raised,
    ):
        client.job("1")
    assert "hunter2" not in str(raised.value)


def test_the_systems_words_come_without_its_numbers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with pytest.raises(ServerError, match=f"^{url}: Connection refused\\. "), Client(url) as client:
        client.job("1")


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, "http://server asks for an access token: .*MICRONET_TOKEN"),
        ("mn_x", "http://server does not know the token"),
    ],
)
def test_no_token_is_told_from_a_wrong_one(monkeypatch: pytest.MonkeyPatch, token: str | None, words: str) -> None:
    problem = {"code": "token-required", "title": "An access token is needed", "detail": "send a header"}
    refusing = httpx.MockTransport(lambda _: httpx.Response(401, json=problem))
    with connected(monkeypatch, refusing, token=token) as client, pytest.raises(ServerError, match=words) as raised:
        client.job("1")
    assert (raised.value.code, raised.value.yours) == ("token-required", True)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.2", "localhost", "localhost.", "[::1]", "[0:0:0:0:0:0:0:1]", "0.0.0.0", "server"]
)
def test_no_proxy_stands_between_a_client_and_its_own_machine(
    monkeypatch: pytest.MonkeyPatch, host: str, name: str
) -> None:
    for known in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(known, raising=False)
        monkeypatch.delenv(known.upper(), raising=False)
    asked: list[str] = []

    def answer(transport: httpx.HTTPTransport, _: httpx.Request) -> httpx.Response:
        asked.append(type(transport._pool).__name__)
        return httpx.Response(200, json=a_job())

    monkeypatch.setenv(name, "http://proxy:3128")
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer)
    with Client(f"http://{host}:8000", "mn_secret") as client:
        client.job("1")
    assert asked == ["HTTPProxy" if host == "server" else "ConnectionPool"]


def test_a_proxy_that_cannot_be_used_is_named_as_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://proxy:70")
    with pytest.raises(ServerError, match=r"the proxy that the environment names cannot be used: .*gopher"):
        Client("http://server:8000", None)


def test_a_proxy_that_cannot_be_used_is_in_nobodys_way_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://proxy:70")
    with Client("http://127.0.0.1:8000", "mn_secret"):
        pass


@pytest.mark.parametrize("token", ["mn_caf\N{LATIN SMALL LETTER E WITH ACUTE}", "mn_a\r\nX: y", "mn a", ""])
@pytest.mark.parametrize("host", ["127.0.0.1", "server"])
def test_a_token_that_no_header_can_carry_is_what_is_wrong(token: str, host: str) -> None:
    with pytest.raises(ServerError, match="begin with mn_") as raised:
        Client(f"http://{host}:8000", token)
    assert raised.value.yours


def slowed(monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], list[float]]:
    """The time, and what was slept of it: pauses are from 1 to 4 seconds, and a server may ask for 60."""
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("app.client.connection._FIRST_PAUSE", 1.0)
    monkeypatch.setattr("app.client.connection._LONGEST_PAUSE", 4.0)
    monkeypatch.setattr("app.client.connection._LONGEST_ASKED", 60.0)
    monkeypatch.setattr("app.client.connection.time.sleep", sleep)
    return now, slept


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are 1, 2, 4, 4 ... seconds where nobody asks for more; 20 s end before the seventh."""
    now, slept = slowed(monkeypatch)
    patience, error = Patience(20, lambda: now[0]), ServerError("c", "t", "d", yours=False)
    for _ in range(6):
        patience.wait(error)
    assert slept == [1, 2, 4, 4, 4, 4]
    with pytest.raises(ServerError) as raised:
        patience.wait(error)
    assert raised.value is error
    patience.forward()
    patience.wait(Later("c", "t", "d", False, seconds=3))
    patience.wait(Later("c", "t", "d", False, seconds=60))
    assert slept[-2:] == [3, 17], "for a last try at the end"
    with pytest.raises(ServerError):
        patience.wait(Later("c", "t", "d", False, seconds=60))


def test_who_asks_to_be_left_alone_is_for_a_minute_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = slowed(monkeypatch)
    patience = Patience(300, lambda: now[0])
    for seconds in (30, 60, 3600):
        patience.wait(Later("c", "t", "d", False, seconds=seconds))
    assert slept == [30, 60, 60]


def test_a_server_whose_disk_is_full_is_asked_again_when_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    _, slept = slowed(monkeypatch)
    problem = {"code": "storage-full", "title": "No space is left", "detail": "send it again when some was made"}
    full = httpx.Response(507, headers={"Retry-After": "60"}, json=problem)
    with answering(monkeypatch, [full, full, httpx.Response(200, json=a_job())]) as client:
        assert client.job("1") == a_job()
    assert slept == [pytest.approx(30, abs=1)] * 2, "patience is 30 seconds here, and no second of them passes"


def test_a_job_that_is_sent_again_is_sent_under_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(iter([Lost(), 503, None]), httpx.MockTransport(lambda _: httpx.Response(202, json=a_job())))
    with connected(monkeypatch, network) as client:
        assert client.submit("train", None, ScoreSettings(seed=3)) == a_job()
        client.submit("train", None, ScoreSettings(seed=3))
    keys = [request.headers["idempotency-key"] for request in network.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]


GONE = {"code": "job-not-found", "title": "No such job", "detail": "there is no such job"}


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (Lost(), httpx.Response(204)),
        (502, None),
        (504, None),
        (None, httpx.Response(503, json={"code": "unavailable", "title": "Later", "detail": "no database"})),
    ],
)
def test_a_job_that_went_when_an_answer_was_lost_was_deleted(
    monkeypatch: pytest.MonkeyPatch, fault: Fault, answer: httpx.Response | None
) -> None:
    answers = iter([*([] if answer is None else [answer]), httpx.Response(404, json=GONE)])
    network = Network(iter([fault, None]), httpx.MockTransport(lambda _: next(answers)))
    with connected(monkeypatch, network) as client:
        client.delete("1")
    assert [(request.method, request.url.path) for request in network.requests] == [("DELETE", "/jobs/1")] * 2


@pytest.mark.parametrize("before", [[], [503, 429, Refused()]])
def test_a_job_that_was_not_there_is_not_said_to_be_deleted(
    monkeypatch: pytest.MonkeyPatch, before: list[Fault]
) -> None:
    network = Network(iter(before), httpx.MockTransport(lambda _: httpx.Response(404, json=GONE)))
    with connected(monkeypatch, network) as client, pytest.raises(ServerError) as raised:
        client.delete("1")
    assert raised.value.code == "job-not-found"


def test_a_file_that_went_with_another_job_is_sent_once_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It was there when it was sent, and the job it was there for was deleted before this one named it."""
    path = tmp_path / "net.onnx"
    path.write_bytes(b"content")
    missing = httpx.Response(404, json={"code": "checkpoint-not-found", "title": "No", "detail": "PUT it first"})
    posts = [missing, httpx.Response(202, json=a_job())]

    def answer(request: httpx.Request) -> httpx.Response:
        return posts.pop(0) if request.method == "POST" else httpx.Response(200, json={})

    network = Network(beyond=httpx.MockTransport(answer))
    with connected(monkeypatch, network) as client:
        assert client.submit("score", path, ScoreSettings()) == a_job()
        posts += [missing, missing]
        with pytest.raises(ServerError, match="PUT it first"):
            client.submit("score", path, ScoreSettings())
    assert [request.method for request in network.requests] == ["PUT", "POST"] * 4


def artifact(content: bytes) -> dict[str, Any]:
    sha256 = hashlib.sha256(content).hexdigest()
    return {"name": "made.onnx", "sha256": sha256, "size": len(content), "url": "/blobs/1"}


def test_a_file_is_fetched_from_where_the_connection_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    content, asked = bytes(range(256)) * 10, []

    def breaking(first: int) -> Iterator[bytes]:
        yield content[first : first + 1000]
        raise httpx.ReadError("the connection broke")

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("range"))
        first = int((asked[-1] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if first < 2000:
            return httpx.Response(206 if asked[-1] else 200, content=breaking(first))
        return httpx.Response(206, content=content[first:])

    file = io.BytesIO(b"before")
    file.seek(6)
    with connected(monkeypatch, httpx.MockTransport(answer)) as client:
        client.download(artifact(content), file)
    assert file.getvalue() == b"before" + content
    assert asked == [None, "bytes=1000-", "bytes=2000-"]


def test_a_file_of_a_store_that_cannot_seek_is_fetched_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def half() -> Iterator[bytes]:
        yield b"half"
        raise httpx.ReadError("the connection broke")

    file = io.BytesIO()
    answers = [httpx.Response(200, content=half()), httpx.Response(200, content=b"half and half")]
    with answering(monkeypatch, answers) as client:
        client.download(artifact(b"half and half"), file)
    assert file.getvalue() == b"half and half"


def test_a_file_that_came_before_the_connection_broke_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def all_of_it() -> Iterator[bytes]:
        yield b"content"
        raise httpx.ReadError("the connection broke")

    file = io.BytesIO()
    with answering(monkeypatch, [httpx.Response(200, content=all_of_it())]) as client:
        client.download(artifact(b"content"), file)
    assert file.getvalue() == b"content"


@pytest.mark.parametrize("came", [b"kontent", b"conten", b"contents", b""])
def test_what_is_not_the_file_that_the_job_made_is_damaged(monkeypatch: pytest.MonkeyPatch, came: bytes) -> None:
    made, found = artifact(b"content"), artifact(came)
    with answering(monkeypatch, [httpx.Response(200, content=came)]) as client, pytest.raises(ServerError) as raised:
        client.download(made, io.BytesIO())
    assert (raised.value.code, raised.value.yours) == ("damaged", False)
    for told in (
        f"made.onnx: {len(came)} bytes with sha256 {found['sha256']} came",
        f"7 bytes with sha256 {made['sha256']}",
    ):
        assert told in str(raised.value)


def test_of_a_file_that_is_damaged_after_a_break_all_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    def half() -> Iterator[bytes]:
        yield b"kon"
        raise httpx.ReadError("the connection broke")

    answers = [httpx.Response(200, content=half()), httpx.Response(206, content=b"tent")]
    with answering(monkeypatch, answers) as client, pytest.raises(ServerError, match=artifact(b"kontent")["sha256"]):
        client.download(artifact(b"content"), io.BytesIO())


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
    assert (raised.value.code, raised.value.title) == ("server", "The server answered 403")
    assert str(raised.value) == answer.text


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


def test_a_mark_that_no_header_can_carry_is_not_sent_back(monkeypatch: pytest.MonkeyPatch) -> None:
    marked = httpx.Response(200, headers=[(b"ETag", b'"\xe9"')], json=a_job())
    with answering(monkeypatch, [marked, ENDED]) as client:
        assert [job["status"] for job in client.follow("1")] == ["queued", "succeeded"]


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


@pytest.mark.parametrize(("url", "token"), [("ftp://host", None), ("http://host:x", None), ("", "a\nb")])
def test_what_cannot_be_sent_is_our_own_fault(url: str, token: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        here = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(ServerError) as raised, Client(url or here, token) as client:
            client.job("1")
    assert (raised.value.code, raised.value.yours) == ("request", True)


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
