"""Sweeps of the store: what no record knows goes, and records are not asked for every file."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from worker.blobs import directory
from worker.blobs.directory import DirectoryBlobs
from worker.records import Records
from worker.settings import Settings
from worker.sweeping import sweep


def test_a_sweep_does_not_ask_for_every_file(records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = DirectoryBlobs(tmp_path / "blobs")
    kept = []
    for content in (b"recorded", b"abandoned"):
        with blobs.create() as incoming:
            incoming.write(content)
            kept.append(incoming.keep())
    records.blobs.add(kept[0], "")
    abandoned = tmp_path / "blobs" / kept[1].location
    sweep(Settings(home=tmp_path), records, blobs)
    os.utime(abandoned, (0, 0))
    asked: list[str] = []
    monkeypatch.setattr(records.blobs, "is_known", lambda location: bool(asked.append(location)))
    sweep(Settings(home=tmp_path), records, blobs)
    assert asked == [kept[1].location] * 2, "and once more when it is locked"
    assert [blob.location for blob in kept if (tmp_path / "blobs" / blob.location).exists()] == [kept[0].location]


def test_what_a_record_names_is_never_swept_whatever_its_age(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "ABANDONED_AFTER", timedelta(0))
    blobs = DirectoryBlobs(tmp_path / "blobs")
    with blobs.create() as incoming:
        incoming.write(b"sent years ago")
        blob = records.blobs.add(incoming.keep(), "")
    path = tmp_path / "blobs" / blob.location
    os.utime(path, (0, 0))
    for _ in range(3):
        sweep(Settings(home=tmp_path), records, blobs)
    assert path.exists()


def test_who_restores_older_records_has_a_day_to_notice_and_then_nothing_is_lost(
    records: Records, tmp_path: Path
) -> None:
    """Files that are older than a day, too, but newer than the records: the first sweep comes with the start."""
    blobs = DirectoryBlobs(tmp_path / "blobs")
    with blobs.create() as incoming:
        incoming.write(b"of last week; the records are of the week before")
        blob = incoming.keep()
    path = tmp_path / "blobs" / blob.location
    os.utime(path, (0, 0))
    for _ in range(2):
        sweep(Settings(home=tmp_path), records, blobs)
        assert path.exists()
    records.blobs.add(blob, "")  # as the right records say
    os.utime(path, (0, 0))
    sweep(Settings(home=tmp_path), records, blobs)
    records.blobs.forget(blob)
    os.utime(path, (0, 0))
    sweep(Settings(home=tmp_path), records, blobs)
    assert path.exists(), "the day begins anew"
    os.utime(path, (0, 0))
    sweep(Settings(home=tmp_path), records, blobs)
    assert not path.exists()
