"""Laws of sweeps: who writes a file keeps it, on NFS too; a file that fails keeps no other from going."""

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from worker.blobs import directory, locking
from worker.blobs.directory import DirectoryBlobs
from worker.blobs.locking import locked, remove_abandoned, sweep_each
from worker.errors import Unavailable
from worker.partials import Partials


@pytest.fixture
def nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As flock(2) says of NFS: a lock of one's own needs a descriptor for writing. And as for a user who is not root:
    that needs a file that may be written."""
    really_lock, really_open = fcntl.flock, os.open

    def lock(descriptor: int, operation: int) -> None:
        access = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        if operation & fcntl.LOCK_EX and access == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        really_lock(descriptor, operation)

    def opened(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR and path.exists() and not path.stat().st_mode & 0o200:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return really_open(path, flags, mode)

    monkeypatch.setattr(fcntl, "flock", lock)
    monkeypatch.setattr(os, "open", opened)


def kept(blobs: DirectoryBlobs) -> Path:
    with blobs.create() as incoming:
        incoming.write(b"whole")
        return blobs.root / incoming.keep().location


@pytest.mark.usefixtures("nfs")
def test_files_on_nfs_are_swept(tmp_path: Path) -> None:
    blobs = DirectoryBlobs(tmp_path)
    known, unknown = kept(blobs), kept(blobs)
    half = unknown.with_name("0" * 30)
    half.write_bytes(b"half")

    def is_known(location: str) -> bool:
        return str(known).endswith(location)

    with blobs.create() as incoming:
        incoming.write(b"on its way")
        assert blobs.sweep(is_known) == 1
        assert (known.exists(), unknown.exists(), half.exists()) == (True, True, False)
        os.utime(unknown, (0, 0))
        os.utime(known, (0, 0))
        assert blobs.sweep(is_known) == 1
        assert (known.exists(), unknown.exists()) == (True, False)
        assert (blobs.root / incoming.keep().location).exists()


@pytest.mark.usefixtures("nfs")
def test_what_has_come_of_a_file_on_nfs_is_removed_and_swept(tmp_path: Path) -> None:
    partials = Partials(tmp_path)
    for sha256 in ("1" * 64, "2" * 64):
        with partials.open("", sha256) as partial:
            partial.append(b"begun")
    assert partials.remove("", "1" * 64)
    assert partials.sweep(-1) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("nfs")
def test_who_looks_whether_a_file_is_written_leaves_it_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "whole"
    path.touch()
    path.chmod(0o400)
    with locked(path), pytest.raises(BlockingIOError), locked(path):
        pass
    assert path.stat().st_mode & 0o777 == 0o400


def test_what_is_known_is_not_opened(tmp_path: Path) -> None:
    """Over a network that takes longer than everything else, and most files are known."""
    path = tmp_path / "file"
    path.touch()
    path.chmod(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
        assert not remove_abandoned(path, lambda: True)


def test_what_is_recorded_at_the_last_moment_stays(tmp_path: Path) -> None:
    path, answers = tmp_path / "file", [False, True]
    path.touch()
    assert not remove_abandoned(path, lambda: answers.pop(0))
    assert path.exists()


def raising(error: Exception) -> Callable[[int], bool]:
    def remove(number: int) -> bool:
        if number % 2:
            raise error
        return number > 0

    return remove


def test_a_file_that_fails_keeps_no_other_from_going_and_is_told_once() -> None:
    with capture_logs() as logs:
        assert sweep_each(range(7), raising(OSError(errno.EIO, "the disk"))) == 3
    assert [(log["files"], log["reason"]) for log in logs] == [(3, "[Errno 5] the disk")]


def test_a_sweep_that_cannot_ask_what_is_known_ends() -> None:
    with pytest.raises(Unavailable):
        sweep_each(range(7), raising(Unavailable("the database does not answer")))


@pytest.mark.parametrize("mode", [0o440, 0o400])
def test_a_whole_file_that_one_sweep_opens_is_whole_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """Who takes it for one that is being written deletes it, at once, where no record knows it."""
    path = tmp_path / "file"
    path.touch(mode)
    path.chmod(mode)
    really, stays = os.open, list[bool]()

    def watched(path: Path, flags: int) -> int:
        stays.append(directory._stays(path, is_known=False))
        return really(path, flags)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", watched)
        os.close(locking._opened_though_whole(path))
    assert stays == [True]
    path.chmod(0o640)
    assert not directory._stays(path, is_known=False), "this one is not whole"
