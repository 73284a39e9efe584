"""The same application as the tests of its HTTP half, seen by people."""

from tests.app.http.conftest import (  # noqa: F401  # fixtures
    any_api,
    any_services,
    api,
    database_url,
    make_services,
    postgres_url,
    services,
)
