"""Which files are forgotten, and which stay whatever their age."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, insert, update

from tests.worker.records.making import new_job, store
from tests.worker.records.plans import plans_of
from tests.worker.records.test_scores import keep, row
from worker.records import Records, blobs, tables
from worker.records.clock import ago
from worker.records.values import StoredBlob

NEVER, SOON = 365, -1


def test_what_the_best_entries_were_measured_on_stays_to_be_measured_again(records: Records) -> None:
    """Each team's best on each board that qualifies; the others go with time, as any file does."""
    files = {
        name: store(records, content=name, size=100) for name in ["better", "worse", "failed", "other", "unranked"]
    }
    keep(
        records,
        row(team="a", score=0.03, sha256=files["better"].sha256),
        row(team="a", score=0.04, sha256=files["worse"].sha256),
        row(team="a", score=0.01, correct=7999, sha256=files["failed"].sha256),
        row(team="b", score=0.05, sha256=files["other"].sha256),
    )
    forgotten = records.blobs.forget_unneeded(days=SOON, total_bytes=1000)
    assert {blob.sha256 for blob in forgotten} == {files[name].sha256 for name in ("worse", "failed", "unranked")}
    assert records.blobs.find(files["better"].sha256, None) == files["better"]


def test_where_there_is_too_much_they_go_last(records: Records) -> None:
    best, young = store(records, content="best", size=100), store(records, content="young", size=100)
    keep(records, row(sha256=best.sha256))
    assert records.blobs.forget_unneeded(days=NEVER, total_bytes=150) == (young,)
    assert records.blobs.forget_unneeded(days=NEVER, total_bytes=50) == (best,)


def test_the_better_entry_takes_the_place_of_the_one_before(records: Records) -> None:
    first, second = store(records, content="first"), store(records, content="second")
    keep(records, row(team="a", policy="challenge", score=0.03, sha256=first.sha256))
    assert records.blobs.forget_unneeded(days=SOON, total_bytes=1000) == (second,)
    second = store(records, content="second")
    keep(records, row(team="a", policy="challenge", score=0.02, sha256=second.sha256))
    assert records.blobs.forget_unneeded(days=SOON, total_bytes=1000) == (first,)


class _Lock:
    """The one that all who claim or send jobs wait for: `taken` so often. `first` is done before it is taken first."""

    def __init__(self, records: Records, first: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
        self._write_alone, self._first, self.taken = records.database.write_alone, first, 0
        monkeypatch.setattr(records.database, "write_alone", self._take)

    def _take(self, work: Callable[[Connection], object]) -> object:
        self.taken += 1
        if self.taken == 1:
            self._first()
        return self._write_alone(work)


def test_where_nothing_is_to_be_forgotten_nobody_waits(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        store(records, content=str(number), size=100)
    lock = _Lock(records, lambda: None, monkeypatch)
    assert records.blobs.forget_unneeded(days=NEVER, total_bytes=300) == ()
    assert lock.taken == 0


def test_many_are_forgotten_a_few_at_a_time_and_no_more_than_are_too_much(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "_AT_ONCE", 2)
    for number in range(8):
        store(records, "blue", content=str(number), size=100)
    lock = _Lock(records, lambda: None, monkeypatch)
    assert len(records.blobs.forget_unneeded(days=NEVER, total_bytes=250)) == 6
    assert lock.taken == 3
    assert records.blobs.stored_bytes("blue") == 200
    assert len(records.blobs.forget_unneeded(days=SOON, total_bytes=250)) == 2
    assert records.blobs.stored_bytes("blue") == 0


def test_what_a_job_comes_to_need_meanwhile_stays(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    needed, other = store(records, content="needed"), store(records, content="other")
    _Lock(records, lambda: records.jobs.submit(new_job(needed), None, 10), monkeypatch)
    assert records.blobs.forget_unneeded(days=SOON, total_bytes=1000) == (other,)
    assert records.blobs.find(needed.sha256, "") == needed


def test_what_is_used_meanwhile_stays(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    used, shared, other = (store(records, content=content) for content in ("used", "shared", "other"))
    long_ago = update(tables.blobs).values(used_at=ago(days=NEVER + 1))
    records.database.write(lambda connection: connection.execute(long_ago))

    def use() -> None:
        records.blobs.use(used.sha256, "")
        records.blobs.add(replace(shared, location="ab/another"), "blue")

    _Lock(records, use, monkeypatch)
    assert records.blobs.forget_unneeded(days=NEVER, total_bytes=1000) == (other,)
    assert records.blobs.find(shared.sha256, "blue") == shared


def test_of_two_sweeps_at_once_one_makes_room(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [store(records, content=str(number), size=100) for number in range(3)]
    swept: list[StoredBlob] = []
    _Lock(records, lambda: swept.extend(records.blobs.forget_unneeded(NEVER, 200)), monkeypatch)
    assert records.blobs.forget_unneeded(NEVER, 200) == ()
    assert len(swept) == 1
    assert records.blobs.stored_bytes("") == 200
    assert swept[0] in files


def test_who_holds_a_file_is_found_by_the_file(emptied_postgres_url: str) -> None:
    """Where holdings are more than PostgreSQL's memory of work takes, it would go through all of them for each file."""
    records = Records(f"{emptied_postgres_url}?options=-c%20work_mem%3D64kB")
    names = [f"{number:064}" for number in range(2000)]
    files = [{"sha256": name, "size": 1, "location": name, "created_at": "", "used_at": ""} for name in names]
    held = [{"owner": "blue", "sha256": name, "created_at": ""} for name in names]

    def fill(connection: Connection) -> None:
        connection.execute(insert(tables.blobs), files)
        connection.execute(insert(tables.holdings), held)

    records.database.write(fill)
    plan = plans_of(records, lambda: records.blobs.forget_unneeded(NEVER * 100, 10**9))[0]
    records.close()
    assert "holdings" in plan
    assert "Materialize" not in plan
