"""Hostile requests over a real socket: each gets its status and code, leaves nothing, and keeps nobody waiting."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from app.services import Services
from tests.app.http.bystander import Bystander
from tests.app.http.conftest import listening, stored_files, until
from tests.app.http.hostile_requests import (
    ADDRESSES,
    CONTENT,
    FILE_NAMES,
    FORMS,
    HEADS,
    SETTINGS,
    Hostile,
    form,
    part,
)
from tests.app.http.test_live_uploads import Raw
from worker.blobs.directory import DirectoryBlobs
from worker.doorbell import SilentBell
from worker.records import Records
from worker.settings import Settings

TABLES: Mapping[str, Mapping[str, Hostile]] = {
    "settings": SETTINGS,
    "form": FORMS,
    "head": HEADS,
    "address": ADDRESSES,
}
REQUESTS = {f"{kind}: {name}": hostile for kind, table in TABLES.items() for name, hostile in table.items()}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Services]:
    """One server's for all of them."""
    home = tmp_path_factory.mktemp("hostile") / "home"
    home.mkdir()
    shutil.copyfile(migrated_sqlite, home / "micronet.db")
    settings = Settings(home=home, min_free_bytes=0)
    opened = Services(settings, Records(settings.database), DirectoryBlobs(home / "blobs"), SilentBell())
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def url(services: Services) -> Iterator[str]:
    with listening(services) as address:
        yield address


@pytest.fixture(scope="module")
def bystander(url: str) -> Iterator[Bystander]:
    asking = Bystander(url)
    asking.start()
    yield asking
    asking.stop()


def exchange(url: str, hostile: Hostile) -> tuple[int, dict[str, Any]]:
    """Status and content of the answer to it."""
    with contextlib.closing(Raw(url)) as raw:
        with contextlib.suppress(ConnectionError):  # the server may have had enough; its answer is there all the same
            raw.send(hostile.to(urlsplit(url).netloc))
        return raw.answer()


@pytest.mark.parametrize("name", REQUESTS)
def test_it_gets_its_answer_and_leaves_nothing(url: str, services: Services, bystander: Bystander, name: str) -> None:
    before, bystander.beside = stored_files(services), name
    status, content = exchange(url, REQUESTS[name])
    assert (status, content.get("code")) == (REQUESTS[name].status, REQUESTS[name].code)
    if status >= httpx.codes.BAD_REQUEST:
        assert content["status"] == status
        assert len(json.dumps(content)) < 5000
        until(lambda: stored_files(services) == before)


@pytest.mark.parametrize("name", FILE_NAMES)
def test_of_a_name_only_what_is_harmless_is_kept(url: str, services: Services, bystander: Bystander, name: str) -> None:
    sent, kept = FILE_NAMES[name]
    bystander.beside = name
    status, job = exchange(url, Hostile(202, None, body=form(part(b"checkpoint", CONTENT, sent))))
    assert (status, job["checkpoint"]["filename"]) == (202, kept)
    again = Hostile(200, None, b"GET " + job["urls"]["self"].encode(), ())
    assert exchange(url, again) == (200, job)
    assert not list(services.settings.home.parent.rglob("hostile-escape*"))
    assert not Path("/tmp/hostile-escape").exists()
