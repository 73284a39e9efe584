"""Clients that lose patience soon, and a server for those that need a real one."""

import pytest

from tests.app.http.conftest import make_services, url  # noqa: F401  # fixtures
from tests.app.unreliable import hurry


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `hurry` says."""
    hurry(monkeypatch)
