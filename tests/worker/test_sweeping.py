"""Scratch directories: gone with their job, or with the next sweep if their worker died; never under a living one."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from worker.blobs.directory import DirectoryBlobs
from worker.records import Records
from worker.settings import Settings
from worker.sweeping import scratch_directory, sweep, sweep_scratch


def test_a_directory_lives_as_long_as_its_job(tmp_path: Path) -> None:
    with scratch_directory(tmp_path, "one") as directory:
        (directory / "out" / "deep").mkdir()
        assert sweep_scratch(tmp_path) == 0
        assert directory.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_it_goes_when_the_job_breaks(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), scratch_directory(tmp_path, "one"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_one_that_cannot_be_furnished_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(directory: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("worker.runner.scratch.furnish", no_room)
    open_before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="No space"), scratch_directory(tmp_path, "one"):
        pass
    assert os.listdir("/proc/self/fd") == open_before
    assert sweep_scratch(tmp_path) == 1


def test_one_of_a_killed_worker_goes_with_the_next_sweep(tmp_path: Path) -> None:
    code = f"""
        from pathlib import Path
        from worker.sweeping import scratch_directory
        with scratch_directory(Path({str(tmp_path)!r}), "one") as directory:
            print("made", flush=True)
            input()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"made\n"
        assert sweep_scratch(tmp_path) == 0
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert sweep_scratch(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


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
