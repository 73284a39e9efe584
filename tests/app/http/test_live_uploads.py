"""Uploads over a real socket: too long, too slow, broken off, and what the server does meanwhile."""

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from app.services import Services
from tests.app.http.conftest import MakeServices, listening, stored_files, until
from tests.app.http.sending import accepted, problem

LIMIT, FORM = 200_000, 2_000


@pytest.fixture
def services(make_services: MakeServices) -> Services:
    return make_services(upload_bytes=LIMIT, form_bytes=FORM, idle_seconds=0.5)


@pytest.fixture
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=20) as connected:
        yield connected


HEAD = b'--b\r\nContent-Disposition: form-data; name="checkpoint"; filename="f"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


class Raw:
    """A client that says exactly what it is told to. `buffer`: bytes its system takes for it, about."""

    def __init__(self, url: str, buffer: int | None = None) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._socket = socket.socket()
        self._socket.settimeout(10)
        if buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.connect((parts.hostname, parts.port))

    def begin(self, method: str, path: str, **headers: str) -> None:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_no_more(self) -> None:
        """Say that nothing more will be sent; what comes is still read."""
        self._socket.shutdown(socket.SHUT_WR)

    def chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def answer(self) -> tuple[int, dict[str, object]]:
        """Status and content of the answer."""
        text = b""
        while b"\r\n\r\n" not in text:
            text += self._more()
        head, _, body = text.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        while len(body) < int(headers["content-length"]):
            body += self._more()
        return int(head.split()[1]), json.loads(body)

    def _more(self) -> bytes:
        piece = self.read()
        if not piece:
            raise EOFError("the connection ended")
        return piece

    def read(self, size: int = 65536) -> bytes:
        """Something of what has come; nothing where the connection has ended."""
        try:
            return self._socket.recv(size)
        except ConnectionError:
            return b""

    def rest(self) -> bytes:
        """All that comes until the connection ends."""
        return b"".join(iter(self.read, b""))

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def raw(url: str) -> Iterator[Raw]:
    connected = Raw(url)
    yield connected
    connected.close()


def test_a_length_over_the_limit_is_refused_before_a_byte_comes(raw: Raw, services: Services) -> None:
    raw.begin("POST", "/score", Content_Type=MULTIPART["Content-Type"], Content_Length=str(LIMIT + FORM + 1))
    status, content = raw.answer()
    assert (status, content["code"]) == (413, "body-too-large")
    assert stored_files(services) == []


@pytest.mark.parametrize(("length", "refusal"), [("999999999999", 413), ("9" * 30, 400)])
def test_absurd_lengths_are_refused(raw: Raw, length: str, refusal: int) -> None:
    raw.begin("PUT", "/checkpoints/" + "0" * 64, Content_Length=length)
    assert raw.answer()[0] == refusal


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_without_a_length_is_counted(raw: Raw, services: Services, method: str) -> None:
    path = "/score" if method == "POST" else "/checkpoints/" + "0" * 64
    raw.begin(method, path, Content_Type=MULTIPART["Content-Type"], Transfer_Encoding="chunked")
    raw.chunk(HEAD)
    for _ in range(LIMIT // 10_000 + 1):
        raw.chunk(b"x" * 10_000)
    status, content = raw.answer()
    assert (status, content["code"]) == (413, "body-too-large")
    until(lambda: stored_files(services) == [])


def test_a_form_without_a_length_is_taken(client: httpx.Client, services: Services) -> None:
    def pieces() -> Iterator[bytes]:
        yield HEAD
        for _ in range(100):
            yield b"0123456789" * 100
        yield TAIL

    answer = client.post("/score", content=pieces(), headers=MULTIPART)
    assert answer.status_code == 202
    assert answer.json()["checkpoint"]["sha256"] == hashlib.sha256(b"0123456789" * 10_000).hexdigest()


def test_every_cut_of_a_form_gives_the_same_file(url: str) -> None:
    data = b"\r\n--" + b"\r\n--b" * 3 + b"-\r\n"
    data = data.replace(b"\r\n--b", b"\r\n--c\r\r\n")
    body = HEAD + data + TAIL
    for cut in range(1, len(body), 7):
        raw = Raw(url)
        raw.begin("POST", "/score", Content_Type=MULTIPART["Content-Type"], Content_Length=str(len(body)))
        raw.send(body[:cut])
        time.sleep(0.01)
        raw.send(body[cut:])
        status, job = raw.answer()
        raw.close()
        assert status == 202
        assert job["checkpoint"] == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "filename": "f"}


@pytest.mark.parametrize("chunked", [True, False])
def test_a_client_that_goes_half_way_leaves_nothing(
    raw: Raw, client: httpx.Client, services: Services, chunked: bool
) -> None:
    length = {"Transfer_Encoding": "chunked"} if chunked else {"Content_Length": "100000"}
    raw.begin("POST", "/score", Content_Type=MULTIPART["Content-Type"], **length)
    for piece in (HEAD, b"x" * 50_000):
        raw.chunk(piece) if chunked else raw.send(piece)
    until(lambda: stored_files(services))
    raw.close()
    until(lambda: stored_files(services) == [])
    assert client.get("/jobs").json()["jobs"] == []


def test_a_client_that_stops_is_hung_up_on_and_leaves_nothing(raw: Raw, services: Services) -> None:
    raw.begin("PUT", "/checkpoints/" + "0" * 64, Content_Length="100000")
    raw.send(b"x" * 50_000)
    began = time.monotonic()
    status, content = raw.answer()
    assert (status, content["code"]) == (408, "request-timeout")
    assert time.monotonic() - began < 5
    until(lambda: stored_files(services) == [])


def test_slow_clients_are_served_and_keep_nobody_waiting(make_services: MakeServices) -> None:
    patient = make_services(upload_bytes=LIMIT, idle_seconds=60)  # slow is not idle, however busy the machine is
    with listening(patient) as url, httpx.Client(base_url=url, timeout=20) as client:
        slow = [Raw(url) for _ in range(20)]
        body = HEAD + b"x" * 30 + TAIL
        for raw in slow:
            raw.begin("POST", "/score", Content_Type=MULTIPART["Content-Type"], Content_Length=str(len(body)))
        for place in range(0, len(body), 10):
            for raw in slow:
                raw.send(body[place : place + 10])
            began = time.monotonic()
            assert client.get("/jobs?limit=1").status_code == 200
            assert time.monotonic() - began < 1
            time.sleep(0.05)
        assert [raw.answer()[0] for raw in slow] == [202] * 20
        for raw in slow:
            raw.close()
        assert len(stored_files(patient)) == 1


def test_a_team_has_only_so_many_uploads_at_once(make_services: MakeServices) -> None:
    patient = make_services(upload_bytes=LIMIT, idle_seconds=60)  # all 64 stay until this test closes them
    with listening(patient) as url, httpx.Client(base_url=url, timeout=20) as client:
        waiting = [Raw(url) for _ in range(64)]
        for raw in waiting:
            raw.begin("PUT", "/checkpoints/" + "0" * 64, Content_Length="10")
            raw.send(b"x")
        until(lambda: len(stored_files(patient)) == 64)  # all have begun: who asks before could be one of the 64
        assert client.put("/checkpoints/" + "0" * 64, content=b"y").status_code == 429
        for raw in waiting:
            raw.close()
        until(lambda: client.put("/checkpoints/" + "0" * 64, content=b"y").status_code == 422)


def test_a_refusal_in_mid_upload_reaches_the_client(client: httpx.Client, services: Services) -> None:
    settings = b'--b\r\nContent-Disposition: form-data; name="settings"\r\n\r\n{"seed": -1}\r\n'
    answer = client.post("/score", content=settings + HEAD + b"x" * LIMIT + TAIL, headers=MULTIPART)
    problem(answer, 422, "invalid-settings")
    assert stored_files(services) == []
    accepted(client)


def test_a_large_refused_body_does_not_keep_the_answer_away(client: httpx.Client, services: Services) -> None:
    for _ in range(2):
        problem(client.put("/checkpoints/" + "0" * 64, content=b"x" * 30_000_000), 413, "body-too-large")
    assert stored_files(services) == []


def test_a_fault_is_a_problem_without_its_story(
    client: httpx.Client, services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(type(services.records.jobs), "list", broken)
    answer = client.get("/jobs", headers={"X-Request-ID": "mine-1"})
    assert "secret" not in str(problem(answer, 500, "internal"))
    assert answer.headers["x-request-id"] == "mine-1"
    logged = capsys.readouterr().out
    assert "secret" in logged
    assert "mine-1" in logged


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b'])
def test_request_ids_are_made_where_none_that_is_plain_was_given(client: httpx.Client, given: str) -> None:
    assert client.get("/health/live", headers={"X-Request-ID": given}).headers["x-request-id"] != given
