"""Downloads over real sockets: that stand still, that are broken off, and too many."""

import gc
import hashlib
import io
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

from app.http.errors import TooManyDownloads
from app.http.rates import Rates
from app.main import create_app
from app.services import Services
from tests.app.http.conftest import bearer, live, until
from tests.app.http.sending import problem
from tests.app.http.test_live_uploads import Raw
from worker.blobs.directory import DirectoryBlobs

CONTENT = bytes(24_000_000)  # more than the systems at both ends take ahead
SHA256 = hashlib.sha256(CONTENT).hexdigest()
WHERE = f"/blobs/{SHA256}"
MOST = 32


class Slow(io.BytesIO):
    """A file that takes its time for a piece, if it is told to. `faults`: what was done to it after its end."""

    opened: list["Slow"]
    seconds = 0.0

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reading, self.faults = threading.Event(), list[str]()

    def read(self, size: int | None = -1, /) -> bytes:
        self.reading.set()
        time.sleep(self.seconds)
        if self.closed:
            self.faults.append("read")
        self.reading.clear()
        return super().read(size)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[Slow]:
    """The files that are opened; every one is the same."""
    Slow.opened = []

    def opened(*_: object) -> Slow:
        Slow.opened.append(Slow(CONTENT))
        return Slow.opened[-1]

    monkeypatch.setattr(DirectoryBlobs, "open", opened)
    return Slow.opened


@contextmanager
def server(services: Services, idle_seconds: float = 30, open_access: bool = True, **headers: str) -> Iterator[str]:
    with live(create_app(services.settings, services, open_access=open_access), idle_seconds) as url:
        assert httpx.put(f"{url}/checkpoints/{SHA256}", content=CONTENT, headers=headers).is_success
        yield url


def begun(url: str, stack: ExitStack, **headers: str) -> Raw:
    """A download of which nothing is taken but its first bytes."""
    raw = Raw(url, buffer=4096)
    stack.callback(raw.close)
    raw.begin("GET", WHERE, **headers)
    assert raw.read(12) == b"HTTP/1.1 200"
    return raw


def test_one_that_stands_still_ends_and_its_file_with_it(services: Services, files: list[Slow]) -> None:
    with server(services, idle_seconds=1) as url, ExitStack() as stack:
        begun(url, stack)
        assert not files[-1].closed
        until(lambda: files[-1].closed, seconds=20)


def test_a_team_has_only_so_many_downloads_at_once(services: Services) -> None:
    blue, red = bearer(services, "blue"), bearer(services, "red")
    with server(services, open_access=False, **blue) as url, ExitStack() as stack:
        httpx.put(f"{url}/checkpoints/{SHA256}", content=CONTENT, headers=red)
        for _ in range(MOST):
            begun(url, stack, **blue)
        answer = httpx.get(f"{url}{WHERE}", headers=blue)
        problem(answer, 429, "too-many-downloads")
        assert answer.headers["retry-after"]
        assert httpx.get(f"{url}/ui/files/{SHA256}", headers=blue).status_code == 429
        assert httpx.get(f"{url}{WHERE}", headers=red).content == CONTENT
        stack.close()
        until(lambda: httpx.get(f"{url}{WHERE}", headers=blue).is_success)


def test_refused_ones_and_looks_take_no_place(services: Services) -> None:
    with server(services) as url, httpx.Client(base_url=url) as client:
        for _ in range(MOST + 1):
            assert client.head(WHERE).headers["content-length"] == str(len(CONTENT))
            assert client.get(WHERE, headers={"Range": f"bytes={len(CONTENT)}-"}).status_code == 416
            assert client.get(WHERE, headers={"If-None-Match": f'"{SHA256}"'}).status_code == 304
        assert client.get(WHERE, headers={"Range": "bytes=0-9"}).content == CONTENT[:10]


def test_all_teams_together_leave_descriptors_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = Rates(10)
    monkeypatch.setattr("app.http.rates.resource.getrlimit", lambda _: (256, 256))
    with ExitStack() as stack:
        for number in range(64):
            stack.enter_context(rates.download(f"team {number % 3}"))
        with pytest.raises(TooManyDownloads, match="of all teams"):
            stack.enter_context(rates.download("another"))
    with rates.download("another"):
        pass


def test_who_goes_in_mid_download_leaves_nothing_behind(
    services: Services, files: list[Slow], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with server(services) as url, ExitStack() as stack:
        monkeypatch.setattr(Slow, "seconds", 0.5)
        raw = Raw(url)
        stack.callback(raw.close)
        raw.begin("GET", WHERE)
        raw.read()
        until(files[-1].reading.is_set)
        raw.close()
        until(lambda: files[-1].closed)
        time.sleep(0.7)
        assert files[-1].faults == []
        gc.collect()
        assert httpx.get(f"{url}/health/live").is_success
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
