"""Laws of the migrations: what was there stays there, and gets what is new."""

from contextlib import closing

import pytest
import sqlalchemy
from alembic import command
from sqlalchemy import Connection, inspect

from micronet.errors import SettingsError
from tests.worker.records.making import accept, store
from tests.worker.records.test_scores import row
from worker.reconciler import Reconciler
from worker.records import Records
from worker.records.board_filters import BoardFilter
from worker.records.migrate import check_usable, check_version, configuration, make_if_new, migrate
from worker.records.tables import job_artifacts, scores
from worker.records.values import Artifact, Ending, Event, Status, WorkerSeen


@pytest.fixture
def database_url(new_database_url: str) -> str:
    """Its own: what another version leaves must not be found by the next test."""
    return new_database_url


def _back_to(records: Records, version: str) -> None:
    records.database.write(lambda connection: command.downgrade(configuration(connection), version))


def _insert_old(connection: Connection) -> None:
    old = {key: value for key, value in row(team="ÉQUIPE", name="Net").items() if key != "searched"}
    table = sqlalchemy.table("scores", *map(sqlalchemy.column, old))
    connection.execute(sqlalchemy.insert(table).values(old))


def test_scores_of_an_older_version_are_found(records: Records) -> None:
    _back_to(records, "0003")
    assert "searched" not in {column["name"] for column in inspect(records.database.engine).get_columns("scores")}
    records.database.write(_insert_old)
    migrate(records.database)
    for text in ("équipe", "NET"):
        assert records.scores.counts(BoardFilter("cifar100", text=text)).total() == 1
    assert records.database.read(lambda c: c.scalar(sqlalchemy.select(scores.c.searched))) == "équipe\nnet"


def test_a_database_of_a_newer_version_is_said_to_be_one(records: Records) -> None:
    newer = sqlalchemy.text("UPDATE alembic_version SET version_num = '9999'")
    records.database.write(lambda connection: connection.execute(newer))
    with pytest.raises(SettingsError, match=r"9999.* newer version of this program.*MICRONET_DATABASE_URL"):
        migrate(records.database)


def test_who_asks_brings_tables_to_no_other_version(database_url: str) -> None:
    for prepare in (check_version, check_usable):
        with pytest.raises(SettingsError, match="no records at"):
            Records(database_url, prepare=prepare)
    with closing(Records(database_url, prepare=make_if_new)) as records:
        for prepare in (make_if_new, check_version, check_usable):
            Records(database_url, prepare=prepare).close()
        for found, right in (("0010", "stop every server"), ("9999", "a newer version")):
            records.database.write(
                lambda connection: connection.execute(
                    sqlalchemy.text("UPDATE alembic_version SET version_num = :found"),
                    {"found": found},  # noqa: B023
                )
            )
            for prepare in (make_if_new, check_version, check_usable):
                with pytest.raises(SettingsError, match=f"version {found}, this program's are .*: {right}"):
                    Records(database_url, prepare=prepare)


def test_jobs_of_an_older_version_go_on(records: Records) -> None:
    job = accept(records)
    _back_to(records, "0003")
    migrate(records.database)
    assert records.jobs.read(job.id) == job
    claimed = records.leases.claim("w", ("short",))
    assert claimed is not None
    assert [entry.event for entry in records.jobs.log(job.id)] == [Event.CLAIMED]


def test_a_job_that_a_worker_of_an_older_version_has_is_timed_by_who_looks(records: Records) -> None:
    job = accept(records)
    claimed = records.leases.claim("w", ("short",), 77.0)
    assert claimed is not None
    worker = WorkerSeen("w", "host", "both", ("cpu",), (), "1", 1, "", 77.0)
    records.workers.beat(worker)
    _back_to(records, "0005")
    for table in ("jobs", "workers"):
        assert "lease_seconds" not in {column["name"] for column in inspect(records.database.engine).get_columns(table)}
    migrate(records.database)
    assert [lease.seconds for lease in records.leases.held()] == [None]
    assert [seen.lease_seconds for seen in records.workers.all()] == [None]
    assert Reconciler(records, lease_seconds=1000).take_back() == 0
    assert records.leases.beat(claimed, None) is Status.RUNNING
    assert Reconciler(records, lease_seconds=0.0).take_back() == 1
    assert records.jobs.read(job.id).status is Status.QUEUED


def test_what_jobs_of_an_older_version_made_is_found(records: Records) -> None:
    made = tuple(
        Artifact(name=name, sha256=sha256 * 64, size=1) for name, sha256 in [("x", "a"), ("y", "a"), ("z", "b")]
    )
    accept(records, kind="fuse")
    job = records.leases.claim("w", ("short",))
    assert job is not None
    records.leases.finish(job, Ending(Status.SUCCEEDED, "{}", artifacts=made))
    other = accept(records)
    _back_to(records, "0006")
    assert not inspect(records.database.engine).has_table("job_artifacts")
    migrate(records.database)
    rows = records.database.read(lambda c: c.execute(sqlalchemy.select(job_artifacts)).all())
    assert sorted(tuple(row) for row in rows) == [(job.id, "a" * 64), (job.id, "b" * 64)]
    assert records.jobs.names("b" * 64, "")
    assert records.jobs.read(other.id) == other


def test_what_owners_of_an_older_version_hold_is_added_up(records: Records) -> None:
    for owner, content, size in [("blue", "x", 1 << 40), ("blue", "y", 1 << 40), ("red", "x", 1), ("", "z", 1)]:
        store(records, owner, content, size)
    _back_to(records, "0007")
    migrate(records.database)
    assert [records.blobs.stored_bytes(owner) for owner in ("blue", "red", "", "nobody")] == [2 << 40, 1 << 40, 1, 0]
