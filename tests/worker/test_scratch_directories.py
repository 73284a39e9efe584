"""Scratch directories: gone with their job, or with the next sweep if their worker died; never under a living one."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from worker.scratch_directories import scratch_directory, sweep_scratch


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


def test_one_of_another_user_keeps_no_other_from_being_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("job-mine", "job-root", "job-too"):
        (tmp_path / name).mkdir()
    open_ = os.open

    def denied(path: Path, flags: int) -> int:
        if Path(path).name == "job-root":
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_(path, flags)

    with monkeypatch.context() as another:
        another.setattr("worker.scratch_directories.os.open", denied)
        assert sweep_scratch(tmp_path) == 2
    assert [one.name for one in tmp_path.iterdir()] == ["job-root"]


def test_one_of_a_killed_worker_goes_with_the_next_sweep(tmp_path: Path) -> None:
    code = f"""
        from pathlib import Path
        from worker.scratch_directories import scratch_directory
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
