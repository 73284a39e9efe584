"""The same application as the tests of its HTTP half, seen by people."""

import pytest
from fastapi.testclient import TestClient

from tests.app.http.conftest import any_api, any_services, api, make_services, services  # noqa: F401  # fixtures


@pytest.fixture
def page(api: TestClient) -> TestClient:  # noqa: F811
    """An open server, whose answers that lead elsewhere are looked at themselves."""
    api.follow_redirects = False
    return api
