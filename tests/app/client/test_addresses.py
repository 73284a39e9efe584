"""Addresses, proxies and tokens: what is wrong with one is said, and never its password."""

import socket

import httpx
import pytest

from app.client import Client, Later, ServerError
from tests.app.unreliable import Network, Refused, a_job, connected


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


@pytest.mark.parametrize(("url", "token"), [("ftp://host", None), ("http://host:x", None), ("", "a\nb")])
def test_what_cannot_be_sent_is_our_own_fault(url: str, token: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        here = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(ServerError) as raised, Client(url or here, token) as client:
            client.job("1")
    assert (raised.value.code, raised.value.yours) == ("request", True)
