"""Files on their way over a network that breaks: all of each arrives, and little of it twice."""

import hashlib
import os
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.client import Client, ServerError, uploading
from app.services import Services
from tests.app.http.conftest import MakeServices, listening, stored_files
from tests.app.unreliable import Cut, Fault, Lost, Network, Refused, connected

PIECE = 100_000
CONTENT = os.urandom(PIECE * 7 + 1234)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "PIECE", PIECE)


@pytest.fixture
def services(make_services: MakeServices) -> Services:
    return make_services(team_requests_per_second=100_000, idle_seconds=60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(CONTENT)
    return path


def there(services: Services) -> list[bytes]:
    return [path.read_bytes() for path in stored_files(services)]


def test_a_large_file_goes_in_pieces_and_is_sent_once(
    url: str, services: Services, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, shown = Network(), []
    with connected(monkeypatch, network, url) as client:
        for _ in range(2):
            assert client.upload(path, lambda done, total: shown.append((done, total))) == SHA256
    assert [request.method for request in network.requests] == ["HEAD", *["PATCH"] * 8, "HEAD", "PATCH"]
    assert network.sent == len(CONTENT)
    assert shown == sorted(shown)
    assert (shown[0], shown[-1]) == ((0, len(CONTENT)), (len(CONTENT), len(CONTENT)))
    assert there(services) == [CONTENT]


def test_a_small_file_goes_whole(url: str, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(CONTENT[:PIECE])
    network = Network(iter([503, Cut(500), Lost()]))
    with connected(monkeypatch, network, url) as client:
        client.upload(path)
    assert {request.method for request in network.requests} == {"PUT"}
    assert there(services) == [CONTENT[:PIECE]]


_FAULTS = st.one_of(
    st.none(),
    st.builds(Cut, st.integers(0, PIECE)),
    st.builds(Lost),
    st.builds(Refused),
    st.sampled_from([408, 429, 502, 503, 504]),
)


@settings(max_examples=25, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_FAULTS, max_size=20), st.integers(0, PIECE))
def test_it_arrives_whatever_breaks(
    url: str, services: Services, tmp_path: Path, script: list[Fault], rest: int
) -> None:
    """A connection that breaks costs what was left of its piece, as does a server that did not see yet that it broke;
    an answer that is lost costs nothing."""
    content = os.urandom(PIECE * 3 + rest)
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    network = Network(iter([None, *script]))
    with pytest.MonkeyPatch.context() as patch, connected(patch, network, url) as client:
        sha256 = client.upload(path)
    blob = services.records.blobs.find(sha256, "")
    assert blob is not None
    with services.blobs.open(blob.location) as file:
        assert file.read() == content
    cuts = sum(isinstance(fault, Cut) for fault in script)
    busy = sum(answer.status_code in (409, 429) for answer in network.answers)
    assert network.sent <= len(content) + PIECE * (cuts + busy)
    assert list(services.partials.root.iterdir()) == []


def test_what_another_process_began_is_gone_on_with(
    url: str, path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with services.partials.open("", SHA256) as partial:
        partial.append(CONTENT[: 5 * PIECE])
    network = Network()
    with connected(monkeypatch, network, url) as client:
        client.upload(path)
    assert network.sent == len(CONTENT) - 5 * PIECE
    assert there(services) == [CONTENT]


def test_a_file_that_was_lost_is_sent_again(url: str, path: Path, services: Services) -> None:
    with Client(url) as client:
        client.upload(path)
        (stored,) = stored_files(services)
        stored.unlink()
        client.upload(path)
    assert there(services) == [CONTENT]


def test_hosts_that_do_not_share_what_was_sent_are_named_as_the_trouble(
    monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    def forgets(request: httpx.Request) -> httpx.Response:
        request.read()
        return httpx.Response(404 if request.method == "HEAD" else 409, headers={"Upload-Offset": "0"})

    network = httpx.MockTransport(forgets)
    with connected(monkeypatch, network, patience=0.2) as client, pytest.raises(ServerError, match="hosts"):
        client.upload(path)


@pytest.mark.parametrize("there", [None, "", "-1", "half", "\u0663", "9" * 5000, str(len(CONTENT) + 1)])
@pytest.mark.parametrize("statuses", [(404, 204), (404, 409)])
def test_who_does_not_say_how_much_came_is_no_server_of_ours(
    monkeypatch: pytest.MonkeyPatch, path: Path, statuses: tuple[int, int], there: str | None
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        request.read()
        if request.method == "HEAD":
            return httpx.Response(statuses[0], headers={"Upload-Offset": "0"})
        told = {} if there is None else {"Upload-Offset": there.encode()}
        return httpx.Response(statuses[1], headers=told)

    with (
        connected(monkeypatch, httpx.MockTransport(answer)) as client,
        pytest.raises(ServerError, match="Upload-Offset") as raised,
    ):
        client.upload(path)
    assert raised.value.code == "no-micronet"


def test_what_suffered_with_its_host_is_sent_anew_once(
    url: str, path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with services.partials.open("", SHA256) as partial:
        partial.append(bytes(5 * PIECE))
    network = Network()
    with connected(monkeypatch, network, url) as client:
        client.upload(path)
    assert network.sent == 2 * len(CONTENT) - 5 * PIECE
    assert there(services) == [CONTENT]


def test_a_file_that_changes_on_its_way_is_refused(
    url: str, path: Path, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(done: int, total: int) -> None:
        with path.open("r+b") as file:
            file.write(b"changed")

    with connected(monkeypatch, Network(), url) as client:
        with pytest.raises(ServerError) as raised:
            client.upload(path, change)
        assert raised.value.code == "hash-mismatch"

        def cut(done: int, total: int) -> None:
            os.truncate(path, 2 * PIECE)

        with pytest.raises(OSError, match="shorter"):
            client.upload(path, cut)
    assert there(services) == []


def test_why_a_large_file_is_refused_is_said(
    make_services: MakeServices,
    path: Path,
) -> None:
    services = make_services(team_stored_bytes=PIECE)
    with listening(services, open_access=False) as url:
        with Client(url) as client, pytest.raises(ServerError) as raised:
            client.upload(path)
        assert (raised.value.code, raised.value.yours) == ("token-required", True)
        with Client(url, services.records.tokens.create("blue")) as client, pytest.raises(ServerError) as raised:
            client.upload(path)
        assert raised.value.code == "storage-quota"
