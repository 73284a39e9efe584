"""The same application as the tests of its HTTP half, seen by people."""

import pytest
from fastapi.testclient import TestClient

from tests.app.http.conftest import (  # noqa: F401  # fixtures
    any_api,
    any_services,
    api,
    database_url,
    make_services,
    postgres_url,
    services,
)


@pytest.fixture
def page(api: TestClient) -> TestClient:  # noqa: F811
    """An open server, whose answers that lead elsewhere are looked at themselves."""
    api.follow_redirects = False
    return api
