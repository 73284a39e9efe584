"""Databases the records are tested on: SQLite always, PostgreSQL where it runs on this machine."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import make_url, text

from worker.records import Records

POSTGRES = os.environ.get("MICRONET_TEST_POSTGRES", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("MICRONET_TEST_REDIS", "redis://127.0.0.1:6379")


@contextmanager
def _database(options: str = "") -> Iterator[str]:
    """The URL of an empty database on the PostgreSQL server, made with these options, as long as the context lives."""
    server = sqlalchemy.create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    name = f"micronet_test_{uuid.uuid4().hex[:12]}"
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} {options}"))
    except sqlalchemy.exc.OperationalError as error:
        pytest.skip(f"no PostgreSQL at {POSTGRES}: {error.orig}")
    except sqlalchemy.exc.DBAPIError as error:
        if not options:
            raise
        pytest.skip(f"the PostgreSQL at {POSTGRES} makes no database with {options}: {error.orig}")
    try:
        yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """An empty database of its own on the PostgreSQL server."""
    with _database() as url:
        yield url


@pytest.fixture
def danish_postgres_url() -> Iterator[str]:
    """One that sorts as Danish does, `aa` after `z`; PostgreSQL has that from 15 on, where it was built with ICU."""
    with _database("TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'da-DK'") as url:
        yield url


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
