"""Laws of the connection to the records: what is one transaction, what is waited for, and what is said of the rest."""

import pytest
from sqlalchemy import Connection

from tests.worker.records.making import accept, store
from worker.records import Records
from worker.records.values import Ending, Status


def test_writes_within_a_write_are_a_part_of_it(records: Records) -> None:
    accept(records, kind="fuse")
    job = records.leases.claim("w", ("short",))
    assert job is not None
    before = records.blobs.stored_bytes("")

    def work(_: Connection) -> None:
        assert records.leases.finish(job, Ending(Status.SUCCEEDED, result="{}"))
        store(records, content="what it made", size=100)
        assert records.jobs.read(job.id).status is Status.SUCCEEDED
        assert records.blobs.stored_bytes("") == before + 100
        raise ValueError("and then something goes wrong")

    with pytest.raises(ValueError, match="goes wrong"):
        records.database.write_alone(work)
    assert records.jobs.read(job.id).status is Status.RUNNING
    assert records.blobs.stored_bytes("") == before
    assert store(records, content="what it made", size=100).size == 100, "the next write is one of its own"
