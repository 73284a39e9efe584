"""Jobs are found by how their ids begin, whatever language the database sorts texts by."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.worker.records.making import new_job, store
from tests.worker.records.plans import goes_through_all, plans_of
from worker.records import Records
from worker.records.jobs import Filter
from worker.records.values import Status


@pytest.fixture
def danish(danish_postgres_url: str) -> Iterator[Records]:
    opened = Records(danish_postgres_url)
    yield opened
    opened.close()


def accept(records: Records, *ids: str) -> list[str]:
    """Accept jobs of these ids, each filled up with zeros unless it is whole."""
    blob = store(records)
    return [records.jobs.submit(new_job(blob, id=each.ljust(32, "0")), None, 100).job.id for each in ids]


def found(records: Records, id_prefix: str, **wanted: Any) -> list[str]:
    """Ids that begin so, the oldest job first."""
    return [job.id for job in records.jobs.list(Filter("", id_prefix=id_prefix, **wanted), 100)][::-1]


def test_jobs_are_found_by_what_their_ids_begin_with(records: Records) -> None:
    ids = accept(records, "0abcde", "0abcdef".ljust(32, "f"), "0abcdf")
    other = store(records, owner="red")
    records.jobs.submit(new_job(other, id="0abcde".ljust(32, "1"), owner="red"), None, 10)
    assert found(records, "0abcde") == ids[:2]
    assert found(records, "0abcd") == ids
    assert found(records, ids[0]) == [ids[0]]
    assert found(records, "1abcde") == found(records, "0abcde1") == []
    assert found(records, "0abcde", status=Status.RUNNING) == []


def test_they_are_found_where_aa_comes_after_z(danish: Records) -> None:
    """Of two that begin alike both are found: else one of them would be taken for the only one, and deleted."""
    ids = accept(danish, "0abcda0", "0abcdaa", "0abcdaf", "aaaaaaa", "aaaaaab")
    assert found(danish, "0abcda") == ids[:3]
    assert found(danish, "0abcdaa") == [ids[1]]
    assert found(danish, "aaaaa") == found(danish, "aaaaaa") == ids[3:]


def test_they_are_found_by_an_index(records: Records) -> None:
    accept(records, "0abcde", "0abcdf")
    (plan,) = plans_of(records, lambda: found(records, "0abcde"))
    assert not goes_through_all(plan)
    assert "ix_jobs_id_beginning" in plan or "(id>? AND id<?)" in plan


def test_they_are_found_by_an_index_in_danish(danish: Records) -> None:
    accept(danish, "0abcde", "0abcdf")
    (plan,) = plans_of(danish, lambda: found(danish, "0abcde"))
    assert "ix_jobs_id_beginning" in plan
