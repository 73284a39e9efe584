"""A host with an API and no worker keeps nothing of uploads that died there."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.services import Services
from tests.app.http.conftest import MakeServices, make_services, until  # noqa: F401
from worker.blobs.port import new_location
from worker.blobs.s3 import S3Blobs

_DAY = 24 * 3600
YOUNG, OLD = "1" * 64, "2" * 64


def leave(services: Services, sha256: str, days_ago: float) -> None:
    """The first piece of a checkpoint."""
    with services.partials.open("", sha256) as partial:
        partial.append(b"begun")
    (path,) = (path for path in services.partials.root.iterdir() if path.name.endswith(sha256))
    os.utime(path, (time.time() - days_ago * _DAY,) * 2)


def test_an_api_sweeps_its_own_host(
    make_services: MakeServices,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    away = S3Blobs("s3://bucket?endpoint_url=http://127.0.0.1:1&region=us-east-1", tmp_path / "spool")
    services = replace(make_services(sweep_seconds=0.02, partial_days=1), blobs=away)
    leave(services, YOUNG, days_ago=0.5)
    with TestClient(create_app(services.settings, services, open_access=True)):
        for _ in range(2):  # now, and then
            spooled = away.spool / new_location()
            spooled.parent.mkdir(parents=True, exist_ok=True)
            spooled.write_bytes(b"half")
            leave(services, OLD, days_ago=1.5)
            until(lambda spooled=spooled: not spooled.exists() and not services.partials.size("", OLD))  # type: ignore[misc]
        assert services.partials.unfinished("") == {YOUNG: (5, 0)}
