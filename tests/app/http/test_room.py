"""How much a team may have waiting and stored, and what is said where a server has no room left."""

import errno

import httpx
import pytest
from fastapi.testclient import TestClient

from app.services import Services
from tests.app.http.conftest import MakeServices, called, stored_files
from tests.app.http.sending import accepted, problem, send


def test_a_team_has_only_so_many_jobs_waiting(make_services: MakeServices) -> None:
    services = make_services(team_waiting_jobs=2)
    with called(services) as client:
        accepted(client)
        accepted(client)
        answer = send(client, content=b"one more")
        problem(answer, 429, "too-many-waiting")
        assert answer.headers["retry-after"]
    assert len(stored_files(services)) == 1


def test_a_team_stores_only_so_many_bytes(make_services: MakeServices) -> None:
    services = make_services(team_stored_bytes=1000)
    with called(services) as client:
        accepted(client, content=b"x" * 900)
        problem(send(client, content=b"y" * 101), 429, "storage-quota")
        accepted(client, content=b"y" * 100)
    assert len(stored_files(services)) == 2


def test_a_team_with_its_room_full_starts_nothing_that_makes_files(make_services: MakeServices) -> None:
    """What has run is kept, so it is asked before; what makes no file goes on."""
    services = make_services(team_stored_bytes=900)
    with called(services) as client:
        first = accepted(client, content=b"x" * 900)
        known = {"checkpoint_sha256": (None, first["checkpoint"]["sha256"])}
        problem(client.post("/fuse", files=known), 429, "storage-quota")
        fresh = {"settings": (None, '{"track": "digits", "architecture": {"name": "digits"}}')}
        problem(client.post("/train", files=fresh), 429, "storage-quota")
        assert client.post("/score", files=known).status_code == httpx.codes.ACCEPTED


def test_uploads_leave_some_space(make_services: MakeServices) -> None:
    services = make_services(min_free_bytes=1 << 60)
    with called(services) as client:
        answer = send(client)
        problem(answer, 507, "storage-full")
        assert answer.headers["retry-after"]
        assert client.get("/jobs").status_code == 200
    assert stored_files(services) == []


@pytest.mark.parametrize("moment", ["write", "keep"])
def test_a_full_disk_is_said_and_nothing_stays(
    api: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with services.blobs.create() as incoming:
        incoming.discard()
    with monkeypatch.context() as patch:
        patch.setattr(type(incoming), moment, full)
        problem(send(api, content=b"x" * (3 << 20)), 507, "storage-full")
    assert stored_files(services) == []
    assert send(api).status_code == 202
