"""Sweeps of the store: what no record knows goes, and records are not asked for every file."""

import os
from pathlib import Path

import pytest

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
    os.utime(tmp_path / "blobs" / kept[1].location, (0, 0))
    asked: list[str] = []
    monkeypatch.setattr(records.blobs, "is_known", lambda location: bool(asked.append(location)))
    sweep(Settings(home=tmp_path), records, blobs)
    assert asked == [kept[1].location]
    assert [blob.location for blob in kept if (tmp_path / "blobs" / blob.location).exists()] == [kept[0].location]
