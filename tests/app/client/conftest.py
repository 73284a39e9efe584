"""Clients that lose patience soon."""

import pytest

from tests.app.unreliable import hurry


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `hurry` says."""
    hurry(monkeypatch)
