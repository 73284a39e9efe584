"""The real application on a real database and directory: called in this process, or over a socket."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from starlette.types import ASGIApp

from app.main import create_app
from app.server import configuration, listen
from app.services import Services
from worker.blobs.directory import DirectoryBlobs
from worker.doorbell import SilentBell
from worker.records import Records
from worker.settings import Settings

MakeServices = Callable[..., Services]


@pytest.fixture
def make_services(tmp_path: Path, migrated_sqlite: Path) -> Iterator[MakeServices]:
    """Services under a directory of their own; keywords are settings."""
    opened: list[Services] = []
    shutil.copyfile(migrated_sqlite, tmp_path / "micronet.db")

    def make(**settings: Any) -> Services:
        given = Settings(**({"home": tmp_path, "min_free_bytes": 0} | settings))
        blobs = DirectoryBlobs(tmp_path / "blobs")
        opened.append(Services(given, Records(given.database), blobs, SilentBell()))
        return opened[-1]

    yield make
    for services in opened:
        services.close()


@pytest.fixture
def services(make_services: MakeServices) -> Services:
    """On SQLite."""
    return make_services()


@pytest.fixture
def any_services(make_services: MakeServices, database_url: str) -> Services:
    """On SQLite and on PostgreSQL."""
    return make_services(database_url=database_url)


@contextmanager
def called(services: Services, open_access: bool = True) -> Iterator[TestClient]:
    """A client of an application in this process."""
    app = create_app(services.settings, services, open_access=open_access)
    with TestClient(app, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def api(services: Services) -> Iterator[TestClient]:
    """An open server."""
    with called(services) as client:
        yield client


@pytest.fixture
def any_api(any_services: Services) -> Iterator[TestClient]:
    """An open server, on each kind of database."""
    with called(any_services) as client:
        yield client


@contextmanager
def live(app: ASGIApp, idle_seconds: float = 30) -> Iterator[str]:
    """The URL of an application behind a real socket, as `micronet api` serves it."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(configuration(app, idle_seconds, end_seconds=1))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    until(lambda: server.started)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=10)
    assert not thread.is_alive()
    listening.close()


def listening(services: Services, open_access: bool = True) -> AbstractContextManager[str]:
    """The URL of an application behind a real socket."""
    return live(create_app(services.settings, services, open_access=open_access))


@pytest.fixture
def url(services: Services) -> Iterator[str]:
    """As `listening` says."""
    with listening(services) as address:
        yield address


def bearer(services: Services, team: str) -> dict[str, str]:
    """The header of a new token."""
    return {"Authorization": f"Bearer {services.records.tokens.create(team)}"}


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def stored_files(services: Services) -> list[Path]:
    """Every file in the store."""
    assert isinstance(services.blobs, DirectoryBlobs)
    return [path for path in services.blobs.root.rglob("*") if path.is_file()]
