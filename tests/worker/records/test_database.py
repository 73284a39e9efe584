"""Laws of the connection to the records: what is one transaction, what is waited for, and what is said of the rest."""

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from micronet.errors import SettingsError
from tests.databases import POSTGRES
from tests.worker.records.making import accept
from worker.errors import StorageFull, Unavailable
from worker.records import Records
from worker.records.database import Database
from worker.records.migrate import check_version, migrate


def setting(database: Database, name: str) -> str:
    return str(database.read(lambda connection: connection.scalar(text(f"SHOW {name}"))))


def socket_options(database: Database) -> list[int]:
    """What the kernel was told of a connection: seconds to the first probe, between probes, probes, milliseconds."""
    names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    with database.engine.connect() as connection:
        assert connection.connection.driver_connection is not None
        descriptor = connection.connection.driver_connection.pgconn.socket
        with socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as end:
            return [end.getsockopt(socket.IPPROTO_TCP, name) for name in names]


def test_a_server_that_vanishes_without_a_word_is_given_up_soon_and_so_are_we(postgres_url: str) -> None:
    with closing(Database(postgres_url)) as database:
        idle, interval, count, unanswered = socket_options(database)
        assert idle + interval * count < 30
        assert unanswered <= 30_000
        assert setting(database, "tcp_keepalives_idle") == "10"
        assert setting(database, "idle_in_transaction_session_timeout") == "1min"
        assert setting(database, "statement_timeout") == "15min"
        assert setting(database, "timezone") == "UTC"


def test_what_the_url_says_of_connections_is_heard(postgres_url: str) -> None:
    own = {"keepalives_idle": "77", "options": "-c statement_timeout=1234 -c search_path=elsewhere"}
    url = make_url(postgres_url).update_query_dict(own).render_as_string(hide_password=False)
    with closing(Database(url)) as database:
        assert socket_options(database)[0] == 77
        assert setting(database, "statement_timeout") == "1234ms"
        assert setting(database, "search_path") == "elsewhere"
        assert setting(database, "timezone") == "UTC"


def test_what_the_server_says_of_sessions_is_heard(postgres_url: str) -> None:
    name = make_url(postgres_url).database
    with closing(Database(postgres_url)) as database:
        database.write(lambda connection: connection.execute(text(f"ALTER DATABASE {name} SET statement_timeout=4321")))
    with closing(Database(postgres_url)) as database:
        assert setting(database, "statement_timeout") == "4321ms"


def test_a_session_that_may_only_read_since_a_failover_is_left(postgres_url: str) -> None:
    with closing(Records(postgres_url)) as records:
        records.database.read(lambda connection: connection.execute(text("SET default_transaction_read_only = on")))
        accept(records)


def test_a_server_that_takes_no_writes_is_unavailable(postgres_url: str) -> None:
    name = make_url(postgres_url).database
    change = f"ALTER DATABASE {name} SET default_transaction_read_only"
    with closing(Records(postgres_url, patience=0.5)) as records:
        records.database.write(lambda connection: connection.execute(text(f"{change} = on")))
        records.close()  # sessions that are there already go on as they were
        with pytest.raises(Unavailable):
            accept(records)
    server = sqlalchemy.create_engine(POSTGRES, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} RESET default_transaction_read_only"))
    server.dispose()


@pytest.mark.parametrize(
    ("change", "said"), [({"database": "no_such_database"}, "no database"), ({"username": "nobody_here"}, "user")]
)
def test_a_database_that_lets_nobody_in_says_why_at_once(postgres_url: str, change: dict[str, str], said: str) -> None:
    url = make_url(postgres_url).set(**change).render_as_string(hide_password=False)  # type: ignore[arg-type]
    began = time.monotonic()
    with pytest.raises(Unavailable, match=said):
        Records(url, patience=60)
    assert time.monotonic() - began < 30


def test_a_database_that_does_not_answer_is_said_not_to() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        Records("postgresql+psycopg://postgres@127.0.0.1:1/postgres", patience=0.1)


LACKS = {"53100": StorageFull, "53200": Unavailable, "53400": Unavailable, "58030": Unavailable, "57P05": Unavailable}


def _fail(connection: Connection, state: str) -> None:
    """As a server does that speaks another language: it is the SQLSTATE that says what is wrong."""
    connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'es geht nicht' USING ERRCODE = '{state}'; END $$"))


@pytest.mark.parametrize(("state", "error"), LACKS.items())
def test_what_a_server_lacks_is_told_by_its_state_in_any_language(
    postgres_url: str, state: str, error: type[Exception]
) -> None:
    with closing(Database(postgres_url, patience=0.0)) as database, pytest.raises(error):
        database.write(lambda connection: _fail(connection, state))


@pytest.mark.parametrize("state", LACKS)
def test_what_a_server_lacks_for_a_moment_is_waited_out(postgres_url: str, state: str) -> None:
    states = [state]

    def work(connection: Connection) -> object:
        if states:
            _fail(connection, states.pop())
        return connection.scalar(text("SELECT 1"))

    with closing(Database(postgres_url)) as database:
        assert database.write(work) == 1


def test_who_finds_every_connection_in_use_waits_and_is_told_to_come_again(new_database_url: str) -> None:
    with closing(Database(new_database_url, patience=0.2, connections=2)) as database:
        begun, over = threading.Barrier(3), threading.Event()
        takers = [threading.Thread(target=lambda: database.read(lambda _: begun.wait(9) + over.wait(9))) for _ in "ab"]
        for taker in takers:
            taker.start()
        begun.wait(9)
        try:
            with pytest.raises(Unavailable, match="try again"):
                database.read(lambda connection: None)
            database.patience = 9.0
            threading.Timer(0.5, over.set).start()
            assert database.read(lambda connection: connection.scalar(text("SELECT 1"))) == 1
        finally:
            over.set()
            for taker in takers:
                taker.join()


@pytest.mark.parametrize("connections", [1, 20, 200])
def test_so_many_threads_as_it_was_made_for_use_it_at_once(tmp_path: Path, connections: int) -> None:
    with closing(Database(f"sqlite:///{tmp_path}/micronet.db", patience=0.0, connections=connections)) as database:
        held = [database.engine.connect() for _ in range(connections)]
        with pytest.raises(Unavailable):
            database.read(lambda connection: None)
        held.pop().close()
        database.read(lambda connection: None)
        for connection in held:
            connection.close()


def test_who_opens_a_database_that_is_away_is_told_where_and_why_and_no_password() -> None:
    for address, reason in (("127.0.0.1:1", "Connection refused"), ("no.such.host.invalid", "failed to resolve host")):
        url = f"postgresql+psycopg://me:pa55word@{address}/scores?application_name=pa55word"
        with pytest.raises(Unavailable, match=f"//{address}/scores: .*{reason}") as refused:
            Records(url, patience=0.0)
        assert "pa55word" not in str(refused.value)


def test_who_asks_a_server_is_not_told_why_and_the_log_is_once(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("the connection to 10.0.0.7 broke\n at night"))

    records.database.patience = 0.0
    once = records.database._once
    for _ in range(2):
        monkeypatch.setattr(records.database, "_once", away)
        with capture_logs() as logs:
            for _ in range(2):
                with pytest.raises(Unavailable) as refused:
                    records.tokens.count()
                assert "10.0.0.7" not in str(refused.value)
        assert [entry["reason"] for entry in logs] == ["the connection to 10.0.0.7 broke"]
        monkeypatch.setattr(records.database, "_once", once)
        assert records.tokens.count() == {}


def test_a_file_that_may_not_be_written_is_refused_when_it_is_opened(migrated_sqlite: Path) -> None:
    """As one that another user made. SQLite itself says so at the first row that is written."""

    def read_only(database: Database) -> None:
        database.read(lambda connection: connection.execute(text("PRAGMA query_only = ON")))
        migrate(database)

    with pytest.raises(Unavailable, match=f"user {os.geteuid()} may not write its file.*{migrated_sqlite}"):
        Records(f"sqlite:///{migrated_sqlite}", prepare=read_only)


@pytest.mark.parametrize("may_access", [False, True])
def test_a_file_on_a_read_only_file_system_is_said_to_be_that(
    migrated_sqlite: Path, may_access: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is opened; and where only SQLite notices, since it became so later."""

    def read_only(database: Database) -> None:
        database.read(lambda connection: connection.execute(text("PRAGMA query_only = ON")))
        migrate(database)

    found = os.statvfs(migrated_sqlite)
    monkeypatch.setattr(os, "access", lambda *_: may_access)
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=found.f_flag | os.ST_RDONLY))
    with pytest.raises(Unavailable, match=f"mounted read-only: mount it so.*{migrated_sqlite}") as refused:
        Records(f"sqlite:///{migrated_sqlite}", prepare=read_only if may_access else migrate)
    assert "user" not in str(refused.value)


@pytest.mark.parametrize("prepare", [migrate, check_version])
@pytest.mark.parametrize("foreign", ["home", "home/micronet.db"])
def test_a_file_that_another_user_made_is_refused_at_once(
    tmp_path: Path, foreign: str, prepare: Callable[[Database], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/home/micronet.db"
    Records(url).close()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / foreign)  # root may do everything
    with pytest.raises(Unavailable, match=rf"user {os.geteuid()} may not write its file.*{tmp_path}/home/micronet.db"):
        Records(url, patience=60, prepare=prepare)


def test_a_new_file_is_nothing_for_others_to_read(tmp_path: Path) -> None:
    file = tmp_path / "home" / "micronet.db"
    with closing(Records(f"sqlite:///{file}")) as records:
        accept(records)
        modes = {path.name: path.stat().st_mode & 0o777 for path in (file.parent, *file.parent.iterdir())}
    assert modes == {"home": 0o700, "micronet.db": 0o640, "micronet.db-wal": 0o640, "micronet.db-shm": 0o640}


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_url_without_a_driver_is_understood(postgres_url: str, scheme: str) -> None:
    url = make_url(postgres_url).set(drivername=scheme).render_as_string(hide_password=False)
    with closing(Records(url)) as records:
        assert accept(records).attempt == 0


@pytest.mark.parametrize(
    "url",
    ["", "no url", "postgresql+psycopg://u:pa55word@host:port/name", "foo://u:pa55word@host/name", "mysql://host/name",
     "postgresql+asyncpg://host/name", "sqlite+foo:///name"],
)  # fmt: skip
def test_a_url_of_no_database_of_ours_says_what_is_needed(url: str) -> None:
    with pytest.raises(SettingsError, match=r"MICRONET_DATABASE_URL.*postgresql\+psycopg://") as caught:
        Database(url)
    assert "pa55word" not in str(caught.value)


def test_a_token_whose_commit_nobody_heard_of_is_made_once(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    once, trouble = records.database._once, [OperationalError("COMMIT", {}, Exception("the connection broke"))]

    def once_unheard(work: Callable[[Connection], object], write: bool) -> object:
        done = once(work, write)
        if trouble:
            raise trouble.pop()
        return done

    monkeypatch.setattr(records.database, "_once", once_unheard)
    token = records.tokens.create("a")
    assert records.tokens.team(token) == "a"
    assert records.tokens.count() == {"a": 1}
