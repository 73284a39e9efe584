"""Databases the records are tested on: SQLite always, PostgreSQL where it runs on this machine."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import make_url, text

from worker.records import Records

POSTGRES = os.environ.get("MICRONET_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("MICRONET_TEST_REDIS", "redis://127.0.0.1:6379")


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """An empty database of its own on the PostgreSQL server."""
    server = sqlalchemy.create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    name = f"micronet_test_{uuid.uuid4().hex[:12]}"
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
    except sqlalchemy.exc.OperationalError as error:
        pytest.skip(f"no PostgreSQL at {POSTGRES}: {error.orig}")
    yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each kind of database, empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/micronet.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    """Records in an empty database."""
    opened = Records(database_url)
    yield opened
    opened.close()
