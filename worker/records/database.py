"""The connection to the records: one way to read, one way to write, on SQLite and on PostgreSQL."""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import URL, Connection, ExceptionContext, QueuePool, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from micronet.errors import SettingsError
from worker.errors import StorageFull, Unavailable

T = TypeVar("T")
log = structlog.get_logger()

_ADVISORY_LOCK = 0x6D6963726F  # "micro": one number for everything that has to happen one at a time on PostgreSQL
_PAUSE = 0.2
_KEPT_OPEN = 20  # of the connections that are open at most: the others are closed after use

_POSTGRES: Mapping[str, str] = {
    "connect_timeout": "5",
    "client_encoding": "utf8",  # a server that was set up in no language would have text read as bytes
    "target_session_attrs": "read-write",
    "keepalives": "1",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""Of each connection: one whose server vanished without a word is given up after half a minute, and not after hours."""

_SESSION: Mapping[str, str] = {
    "statement_timeout": "15min",  # a migration of millions of jobs takes less
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
"""Of each session, where nobody chose otherwise: in the URL, for the user, the database or the server. The server, too,
soon gives up whoever vanished: he may hold the lock that everybody waits for."""
_SET = "SELECT set_config(name, value, false) FROM pg_settings JOIN unnest(%s::text[], %s::text[]) AS ours(name, value)"
_SET += " USING (name) WHERE source = 'default'"  # not as startup options, of which poolers take only some

_READ_ONLY = "25006"  # to this session, which began before the server became another's standby
_READ_ONLY_FILE = "attempt to write a readonly database"  # of SQLite: another user's, or on a read-only mount
_FULL = "53100"
_AGAIN = frozenset({_READ_ONLY, "25P03", "55P03", "57014", "57P01", "57P02", "57P03", "57P05"})
_CLASSES_AGAIN = frozenset({"08", "40", "53", "58"})
"""The connection; a deadlock and its like; what the server lacks, such as memory; what its system fails in."""
_REFUSALS: Mapping[str, str] = {
    "28": "its user or password are wrong, or pg_hba.conf lets them in from elsewhere only",
    "3D": "there is no database of that name: create it, or name another",
    "42501": "its user may not use that database, or what is in it: grant it",
}
"""What SQLSTATEs say, or classes of them, of a database that answers and lets nobody in."""

_REFUSED_WORDS: Mapping[str, str] = {
    "authentication failed|no password supplied|no pg_hba.conf entry|not permitted to log in": "28",
    'role ".*" does not exist': "28",
    'database ".*" does not exist': "3D",
    "permission denied for database": "42501",
}
"""The same where there is no connection yet, and so no SQLSTATE: what stands behind FATAL."""


CONNECTIONS = 30
"""Of a process that does not say how many it needs."""

_Failure = DBAPIError | NoConnectionFree
"""What keeps work from being done: the database, or that every connection is in use."""


class Database:
    """Engine and transactions. `patience`: seconds that a lost connection or a full disk is waited out.

    `connections`: open at most, and so the threads that use it at once; one more waits for its turn as for a database
    that is away. Raises SettingsError for a URL that names no database of a kind we use.
    """

    def __init__(self, url: str, patience: float = 5.0, connections: int = CONNECTIONS) -> None:
        self.url = _parsed(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.patience = patience
        self._writing = threading.Lock()
        self.is_opening = True
        """Those who open it are told why it fails. Those who ask a server are not, and its log is."""
        self._reason = ""
        kept = min(connections, _KEPT_OPEN)
        pool = {"pool_size": kept, "max_overflow": connections - kept, "pool_timeout": patience}
        if self.is_sqlite:
            asked: Mapping[str, object] = {"timeout": 60, "check_same_thread": False}
            self.engine = create_engine(self.url, connect_args=asked, poolclass=QueuePool, **pool)
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            # no ping before each use: a connection that broke is found by using it, and the work is done again anyway
            self.engine = create_engine(self.url, connect_args=_chosen(self.url), **pool)
            event.listen(self.engine, "connect", _configure_postgres)
            event.listen(self.engine, "handle_error", _leave_standby)
        self._writer = self.engine.execution_options(micronet_write=True)
        self._reader = self.engine.execution_options(micronet_write=False)
        if not self.is_sqlite:  # where each statement sees what was committed before it, in a transaction or not
            self._reader = self._reader.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def place(self) -> str:
        """Where it is, without a user and a password."""
        url = self.url
        return URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()

    @property
    def file(self) -> Path | None:
        """Of SQLite."""
        name = self.url.database
        return Path(name) if self.is_sqlite and name and not name.startswith((":", "file:")) else None

    def make_file(self) -> None:
        """SQLite's file, where there is none: for its owner, and for its group to read; those beside it become like it.

        Raises OSError.
        """
        if self.file is not None and not self.file.exists():
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.file.touch(mode=0o640)

    def check_file(self) -> None:
        """Raise Unavailable where SQLite's file, or its directory, cannot be written: another user's, or on a file
        system that is mounted read-only. SQLite says so of a few only."""
        if self.file is None or not self.file.exists():
            return
        if not all(os.access(path, os.R_OK | os.W_OK) for path in (self.file, self.file.parent)):
            raise _refused(_unwritable(self.file), f" ({self.file})")

    def read(self, work: Callable[[Connection], T]) -> T:
        """`work`, which only reads; on SQLite in one transaction. Raises Unavailable when the database stays away."""
        return self._with_patience(lambda: self._once(work, write=False))

    def write(self, work: Callable[[Connection], T]) -> T:
        """`work` in a write transaction, all of it or nothing; again if the connection breaks, so it must bear that.

        It reads and writes by its connection alone: who asks here for another one meanwhile waits for himself.
        """
        return self._with_patience(lambda: self._once(work, write=True))

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

    def _once(self, work: Callable[[Connection], T], write: bool) -> T:
        engine = self._writer if write else self._reader
        with self._turn(write), engine.begin() as connection:
            return work(connection)

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
                done = attempt()
            except NoConnectionFree as error:
                if time.monotonic() > deadline:
                    raise self._told(error) from error
            except DBAPIError as error:
                if _refusal(error, self.file) is not None:
                    raise self._told(error) from error
                if not _passing(error):
                    raise
                if time.monotonic() > deadline:
                    raise self._told(error) from error
                time.sleep(_PAUSE)
            else:
                self._reason = ""
                return done

    def _told(self, error: _Failure) -> Exception:
        """The error to raise, and its reason in it or in the log, once."""
        reason = "every connection is in use"
        if isinstance(error, DBAPIError):
            reason = next(iter(str(error.orig).strip().splitlines()), "")
        if self.is_opening:
            return _named(error, self.file, f" ({self.place}: {reason})")
        if reason != self._reason:
            self._reason = reason
            log.warning("database does not serve", database=self.place, reason=reason)
        return _named(error, self.file)


def _parsed(url: str) -> URL:
    """A URL as it is written elsewhere, too: without a driver, and postgres:// for postgresql://."""
    needed = "sqlite:////path/of/a.db or postgresql+psycopg://user:password@host:5432/name is needed"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # neither shows a URL that may have a password in it
        raise SettingsError(f"the database's URL (MICRONET_DATABASE_URL) cannot be read: {needed}.") from error
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise SettingsError(f"the database's URL (MICRONET_DATABASE_URL) begins {parsed.drivername}://: {needed}.")
    return parsed


def _chosen(url: URL) -> dict[str, str]:
    """What connections are made with, beside what the URL says itself."""
    said = url.query.get("options", ())
    options = ["-c timezone=UTC", *([said] if isinstance(said, str) else said)]  # the last one is heard
    chosen = {name: value for name, value in _POSTGRES.items() if name not in url.query}
    return {**chosen, "options": " ".join(options)}


def _configure_postgres(connection: Any, _: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SET, (list(_SESSION), list(_SESSION.values())))
    connection.commit()


def _leave_standby(context: ExceptionContext) -> None:
    """A server that takes no writes any more has a successor: every connection is made anew."""
    if _sqlstate(context.original_exception) == _READ_ONLY:
        context.is_disconnect = True


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
    if (state := _sqlstate(error.orig)) is not None:
        return state in _AGAIN or state[:2] in _CLASSES_AGAIN
    if _refusal(error, None) is not None:
        return False
    message = str(error.orig).lower()
    signs = (
        "connection",
        "resolve host",
        "starting up",
        "shutting down",
        "locked",
        "deadlock",
        "serializ",
        "disk i/o",
        "unable to open",
    )
    return isinstance(error, OperationalError | InterfaceError) and any(sign in message for sign in signs)


def _sqlstate(error: BaseException | None) -> str | None:
    state: str | None = getattr(error, "sqlstate", None)
    return state


def _refusal(error: DBAPIError, file: Path | None) -> str | None:
    """What would be right, where the database answers and lets us not in; None where it is something else. `file`: of
    SQLite, which does not say why it cannot be written."""
    state = _sqlstate(error.orig) or ""
    if _READ_ONLY_FILE in str(error.orig):
        return _unwritable(file)
    if not state:
        _, _, words = str(error.orig).partition("FATAL:")
        state = next((state for sign, state in _REFUSED_WORDS.items() if re.search(sign, words)), "")
    return _REFUSALS.get(state, _REFUSALS.get(state[:2]))


def _is_full(error: DBAPIError) -> bool:
    if (state := _sqlstate(error.orig)) is not None:
        return state == _FULL
    message = str(error.orig).lower()  # of SQLite, and where there is no connection yet
    return "disk is full" in message or "no space left" in message


def _named(error: _Failure, file: Path | None, reason: str = "") -> Exception:
    if isinstance(error, DBAPIError) and _is_full(error):
        return StorageFull(
            f"the disk that holds the database is full{reason}; free some space and send the request again."
        )
    if isinstance(error, DBAPIError) and (refusal := _refusal(error, file)) is not None:
        return _refused(refusal, reason)
    return Unavailable(f"the database does not answer{reason}; try again in a few seconds.")


def _refused(refusal: str, reason: str) -> Unavailable:
    return Unavailable(f"the database does not let the server in (MICRONET_DATABASE_URL): {refusal}{reason}.")


def _unwritable(file: Path | None) -> str:
    if file is not None and file.exists() and os.statvfs(file).f_flag & os.ST_RDONLY:
        return "its file lies on a file system that is mounted read-only: mount it so that it can be written"
    return f"user {os.geteuid()} may not write its file, or not into the directory of it: give both to that user"
