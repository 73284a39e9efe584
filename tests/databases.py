"""Databases the records are tested on: SQLite always, PostgreSQL where it runs on this machine.

To make one and bring it to the newest version takes longer than most tests do, so it is done once in a process: a file
of SQLite is copied, and a database of PostgreSQL is emptied after every test. `postgres_url` is new each time.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import make_url, text

from worker.records import Records
from worker.records.tables import metadata, store

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
def new_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each kind of database, new and without a table."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/micronet.db"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with every table and nothing in them, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "micronet.db"
    Records(f"sqlite:///{path}").close()
    return path


@pytest.fixture(scope="session")
def _migrated_postgres_url() -> Iterator[str]:
    """A database with every table, for one test after the other."""
    with _database() as url:
        Records(url).close()
        yield url


@pytest.fixture
def emptied_postgres_url(_migrated_postgres_url: str) -> Iterator[str]:
    """A database with every table and nothing in them."""
    yield _migrated_postgres_url
    engine = sqlalchemy.create_engine(_migrated_postgres_url, isolation_level="AUTOCOMMIT")
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    with engine.connect() as connection:
        connection.execute(text(f"{others} pg_backend_pid()"))
        for table in reversed(metadata.sorted_tables):
            if table is not store:  # whose row is made with the tables
                connection.execute(table.delete())
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each kind of database, with every table and nothing in them."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("emptied_postgres_url"))
    path = shutil.copyfile(request.getfixturevalue("migrated_sqlite"), tmp_path / "micronet.db")
    return f"sqlite:///{path}"


@pytest.fixture
def records(database_url: str) -> Iterator[Records]:
    """Records in an empty database."""
    opened = Records(database_url)
    yield opened
    opened.close()
