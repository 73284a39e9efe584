"""A server for the commands to speak with, and a file to send it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.client import client as client_module
from app.main import create_app
from app.services import Services
from tests.app.http.conftest import MakeServices, live, make_services  # noqa: F401  # fixtures


@pytest.fixture
def services(make_services: MakeServices) -> Services:  # noqa: F811
    return make_services(team_requests_per_second=100_000)


@pytest.fixture(autouse=True)
def url(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(client_module, "_LONGEST_LOOK", 0.05)
    server = create_app(services.settings, services, open_access=True)
    with capture_logs(), live(server) as address:  # the server's would be taken for what a command prints
        monkeypatch.setenv("MICRONET_SERVER", address)
        yield address


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"not a network, but nobody looks here")
    return str(path)
