"""The connection to the records: one way to read, one way to write, on SQLite and on PostgreSQL."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from worker.errors import StorageFull, Unavailable

T = TypeVar("T")

_ADVISORY_LOCK = 0x6D6963726F  # "micro": one number for everything that has to happen one at a time on PostgreSQL
_PAUSE = 0.2


class Database:
    """Engine and transactions. `patience`: seconds that a lost connection or a full disk is waited out."""

    def __init__(self, url: str, patience: float = 5.0) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.patience = patience
        self._writing = threading.Lock()
        self._around = threading.local()
        if self.is_sqlite:
            if self.url.database:
                Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = create_engine(
                self.url, connect_args={"timeout": 60, "check_same_thread": False}, pool_size=20
            )
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            # a server that was set up in no language would have text read as bytes
            options = {"connect_timeout": 5, "options": "-c timezone=UTC", "client_encoding": "utf8"}
            # no ping before each use: a connection that broke is found by using it, and the work is done again anyway
            self.engine = create_engine(self.url, connect_args=options, pool_size=20)
        self._writer = self.engine.execution_options(micronet_write=True)
        self._reader = self.engine.execution_options(micronet_write=False)
        if not self.is_sqlite:  # where each statement sees what was committed before it, in a transaction or not
            self._reader = self._reader.execution_options(isolation_level="AUTOCOMMIT")

    def read(self, work: Callable[[Connection], T]) -> T:
        """`work`, which only reads; on SQLite in one transaction. Raises Unavailable when the database stays away."""
        return self._done(work, write=False)

    def write(self, work: Callable[[Connection], T]) -> T:
        """`work` in a write transaction, all of it or nothing; again if the connection breaks, so it must bear that.

        What `work` itself reads and writes here, in its thread, is part of that transaction.
        """
        return self._done(work, write=True)

    def write_alone(self, work: Callable[[Connection], T]) -> T:
        """Like write, and no other such transaction of any process runs beside it."""

        def locked(connection: Connection) -> T:
            if not self.is_sqlite:  # SQLite has one writer at a time anyway
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
            return work(connection)

        return self.write(locked)

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    def _done(self, work: Callable[[Connection], T], write: bool) -> T:
        around: Connection | None = getattr(self._around, "connection", None)
        if around is not None:
            return work(around)  # if the connection breaks, the whole is done again
        return self._with_patience(lambda: self._once(work, write))

    def _once(self, work: Callable[[Connection], T], write: bool) -> T:
        engine = self._writer if write else self._reader
        with self._turn(write), engine.begin() as connection:
            if not write:
                return work(connection)
            self._around.connection = connection
            try:
                return work(connection)
            finally:
                self._around.connection = None

    @contextmanager
    def _turn(self, write: bool) -> Iterator[None]:
        """SQLite's writers of one process queue here, in order, instead of polling the file's lock."""
        if self.is_sqlite and write:
            with self._writing:
                yield
        else:
            yield

    def _with_patience(self, attempt: Callable[[], T]) -> T:
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return attempt()
            except DBAPIError as error:
                if not _passing(error):
                    raise
                if time.monotonic() > deadline:
                    raise _named(error) from error
                time.sleep(_PAUSE)


def _configure_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says, not at the first change
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # an accepted job survives the power going
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get("micronet_write", True)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _passing(error: DBAPIError) -> bool:
    """Will trying again help: the connection broke, the database starts or stops, its lock or its disk was busy?"""
    if error.connection_invalidated or _is_full(error):
        return True
    message = str(error.orig).lower()
    signs = (
        "connection",
        "starting up",
        "shutting down",
        "locked",
        "deadlock",
        "serializ",
        "disk i/o",
        "unable to open",
    )
    return isinstance(error, OperationalError | InterfaceError) and any(sign in message for sign in signs)


def _is_full(error: DBAPIError) -> bool:
    message = str(error.orig).lower()
    return "disk is full" in message or "no space left" in message


def _named(error: DBAPIError) -> Exception:
    if _is_full(error):
        return StorageFull("the disk that holds the database is full; free some space and send the request again.")
    return Unavailable("the database does not answer; try again in a few seconds.")
