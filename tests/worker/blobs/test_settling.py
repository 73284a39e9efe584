"""Laws of a file's end: it is where its record says, whatever fails, and otherwise nothing stays."""

import os
from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from worker.blobs.memory import MemoryBlobs
from worker.blobs.settling import has_gone, settle, settle_together
from worker.errors import CheckpointNotFound, StorageFull, StorageQuota, Unavailable
from worker.records.values import StoredBlob


class Recorded:
    """One row, and what goes wrong with it: `record_trouble` and `replace_trouble` come after the row was written."""

    def __init__(self) -> None:
        self.location: str | None = None
        self.record_trouble: BaseException | None = None
        self.replace_trouble: Exception | None = None

    def record(self, blob: StoredBlob) -> tuple[str, str | None]:
        self.location = self.location or blob.location
        if self.record_trouble is not None:
            raise self.record_trouble
        return "answer", self.location

    def replace(self, _: str, lost: str, location: str) -> bool:
        if self.location != lost:
            return False
        self.location = location
        if self.replace_trouble is not None:
            raise self.replace_trouble
        return True


@pytest.fixture
def store() -> MemoryBlobs:
    return MemoryBlobs()


@pytest.fixture
def row() -> Recorded:
    return Recorded()


Record = Callable[[StoredBlob], tuple[str, str | None]]


def settled(store: MemoryBlobs, row: Recorded, record: Record | None = None) -> str:
    incoming = store.create()
    incoming.write(b"content")
    try:
        return settle(incoming, store, record or row.record, row.replace)
    finally:
        assert store.open_files == set()


def test_the_first_copy_stays_and_no_other(store: MemoryBlobs, row: Recorded) -> None:
    assert [settled(store, row) for _ in range(2)] == ["answer", "answer"]
    assert list(store.files) == [row.location]


def test_what_nobody_wants_goes(store: MemoryBlobs, row: Recorded) -> None:
    assert settled(store, row, lambda _: ("answer", None)) == "answer"
    assert store.files == {}


@pytest.mark.parametrize(
    "trouble",
    [
        Unavailable("the database does not answer"),
        StorageFull("the database's disk is full"),
        OperationalError("UPDATE", {}, Exception("out of memory")),
        SystemExit(),
    ],
)
def test_what_may_have_been_recorded_stays(store: MemoryBlobs, row: Recorded, trouble: BaseException) -> None:
    """The answer to a commit was lost, and it was tried again: what came then says nothing of the first."""
    row.record_trouble = trouble
    with pytest.raises(type(trouble)):
        settled(store, row)
    assert list(store.files) == [row.location]


@pytest.mark.parametrize("refusal", [StorageQuota("too much"), CheckpointNotFound("another is not here")])
def test_what_was_refused_goes(store: MemoryBlobs, row: Recorded, refusal: Exception) -> None:
    row.record_trouble = refusal
    with pytest.raises(type(refusal)):
        settled(store, row)
    assert store.files == {}


def test_of_several_files_all_go_when_one_cannot_be_kept(
    store: MemoryBlobs, row: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = store.create(), store.create()
    monkeypatch.setattr(second, "keep", lambda: os.fsync(1_000_000))
    with pytest.raises(OSError, match="descriptor"):
        settle_together((first, second), store, lambda _: pytest.fail("one is not kept"), row.replace)
    assert (store.files, store.open_files) == ({}, set())


@pytest.mark.parametrize(
    "trouble",
    [
        None,
        Unavailable("the database does not answer"),
        StorageFull("the database's disk is full"),
        OperationalError("UPDATE", {}, Exception("out of memory")),
    ],
)
def test_it_takes_the_place_of_a_file_that_is_lost(
    store: MemoryBlobs, row: Recorded, trouble: Exception | None
) -> None:
    settled(store, row)
    lost = str(row.location)
    store.files.clear()
    assert has_gone(store, lost)
    row.replace_trouble = trouble
    settled(store, row)
    assert list(store.files) == [row.location] != [lost]


def test_only_one_takes_its_place(store: MemoryBlobs, row: Recorded) -> None:
    row.location = "ab/here"
    settled(store, row, lambda _: ("answer", "ab/lost"))
    assert store.files == {}
