"""A store of files belongs to one set of records: another one neither serves nor sweeps it."""

import shutil
from pathlib import Path

import pytest

from worker.belonging import hold_together, open_store
from worker.blobs import Blobs
from worker.blobs.directory import DirectoryBlobs
from worker.errors import WrongStore
from worker.records import Records
from worker.records.values import StoredBlob
from worker.settings import Settings
from worker.sweeping import sweep


def keep(blobs: Blobs, content: bytes, records: Records | None = None) -> StoredBlob:
    with blobs.create() as incoming:
        incoming.write(content)
        blob = incoming.keep()
        if records is not None:
            records.blobs.add(blob, "")
        return blob


def test_a_new_store_becomes_that_of_its_records_and_of_no_others(records: Records, tmp_path: Path) -> None:
    blobs = open_store(str(tmp_path / "blobs"), tmp_path, records)
    assert blobs.identity() == records.store.identity()
    hold_together(records, blobs)
    other = Records(f"sqlite:///{tmp_path}/other.db")
    with pytest.raises(WrongStore, match=f"{records.store.identity()}.*MICRONET_DATABASE_URL"):
        open_store(str(tmp_path / "blobs"), tmp_path, other)
    other.close()


def test_a_sweep_by_other_records_deletes_nothing(records: Records, tmp_path: Path) -> None:
    """As after a slip in MICRONET_DATABASE_URL, which makes a new, empty database."""
    settings = Settings(home=tmp_path)
    blobs = open_store(settings.blobs, tmp_path, records)
    blob = keep(blobs, b"recorded", records)
    mistaken = Records(f"sqlite:///{tmp_path}/micronet.sqlite")
    with pytest.raises(WrongStore):
        sweep(settings, mistaken, blobs)
    blobs.open(blob.location).close()
    sweep(settings, records, blobs)
    blobs.open(blob.location).close()
    mistaken.close()


def test_one_that_an_earlier_version_filled_is_known_by_its_files(records: Records, tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    blob = keep(blobs, b"recorded", records)
    empty = DirectoryBlobs(tmp_path / "elsewhere")
    with pytest.raises(WrongStore, match=r"none of the files .*\(1\): is it mounted") as refused:
        hold_together(records, empty)
    assert empty.identity() is None
    assert f"write {records.store.identity()} into store-id in it" in str(refused.value)
    hold_together(records, blobs)
    assert blobs.identity() == records.store.identity()
    blobs.open(blob.location).close()


def test_a_store_that_does_not_answer_at_the_start_is_asked_later(records: Records, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    blobs = open_store(str(tmp_path / "file" / "blobs"), tmp_path, records)
    with pytest.raises(OSError, match="Not a directory"):
        sweep(Settings(home=tmp_path), records, blobs)


def test_a_store_that_is_unmounted_has_lost_nothing(records: Records, tmp_path: Path) -> None:
    """It does not answer, which is another thing than a file that has gone; nothing is written where it was."""
    root = tmp_path / "blobs"
    blobs = open_store(str(root), tmp_path, records)
    blob = keep(blobs, b"recorded", records)
    root.rename(tmp_path / "unmounted")
    for empty in (False, True):
        if empty:
            root.mkdir()
        for use in (lambda: blobs.open(blob.location), blobs.create, blobs.identity):
            with pytest.raises(OSError, match="not there any more") as caught:
                use()
            assert not isinstance(caught.value, FileNotFoundError)
    assert list(root.iterdir()) == []
    shutil.rmtree(root)
    (tmp_path / "unmounted").rename(root)
    blobs.open(blob.location).close()
    (root / blob.location).unlink()
    with pytest.raises(FileNotFoundError):
        blobs.open(blob.location)


def test_what_keeps_one_part_of_a_sweep_leaves_the_others_theirs(records: Records, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    (settings.scratch / "job-of-a-dead-worker").mkdir(parents=True)
    blobs = open_store(settings.blobs, tmp_path, records)
    blobs.claim("another's")
    with pytest.raises(WrongStore):
        sweep(settings, records, blobs)
    assert list(settings.scratch.iterdir()) == []
