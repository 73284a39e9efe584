"""A job has its own files and the data sets and no others, tried out for real."""

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.worker.sandbox.confined import DENIED, confined, needs_landlock, needs_seccomp, outcome, scratch_in
from worker.sandbox import Confinement, landlock
from worker.sandbox.landlock import READ, Rule
from worker.sandbox.privileges import drop_privileges


@needs_landlock
@pytest.mark.parametrize(
    "touch",
    [
        lambda home, scratch: (home / "micronet.db").read_text(),
        lambda home, scratch: (home / "blobs" / "file").read_text(),
        lambda home, scratch: os.listdir(home / "blobs"),
        lambda home, scratch: (home / "scratch" / "other" / "file").read_text(),
        lambda home, scratch: os.listdir(scratch),
        lambda home, scratch: Path("/etc/passwd").read_text(),
        lambda home, scratch: os.listdir("/"),
        lambda home, scratch: os.listdir("/proc"),
        lambda home, scratch: os.listdir(tempfile.gettempdir()),
        lambda home, scratch: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
        lambda home, scratch: Path(f"/proc/{os.getppid()}/cmdline").read_bytes(),
        lambda home, scratch: Path("/proc/1/cmdline").read_bytes(),
        lambda home, scratch: Path("/proc/self/root/etc/passwd").read_text(),
        lambda home, scratch: (scratch / "in" / "checkpoint").write_text("other weights"),
        lambda home, scratch: (scratch / "in" / "checkpoint").unlink(),
        lambda home, scratch: (scratch / "new").write_text(""),
        lambda home, scratch: (scratch / "out").rename(scratch / "away"),
        lambda home, scratch: (home / "new").write_text(""),
        lambda home, scratch: (home / "data" / "file").write_text("other images"),
        lambda home, scratch: (home / "data" / "file").unlink(),
        lambda home, scratch: (home / "data" / "new").mkdir(),
        lambda home, scratch: (home / "micronet.db").rename(scratch / "out" / "db"),
        lambda home, scratch: (scratch / "out" / "link").symlink_to(home / "micronet.db"),
        lambda home, scratch: os.mkfifo(scratch / "out" / "pipe"),
        lambda home, scratch: Path("/proc/self/oom_score_adj").write_text("-1000"),
        lambda home, scratch: Path("/dev/shm/leak").write_text(""),
    ],
)
def test_no_file_but_its_own(
    touch: Callable[[Path, Path], object], server: Path, confinement: Confinement, user: int | None
) -> None:
    assert confined(lambda: touch(server, confinement.scratch), confinement, user) in DENIED


@needs_landlock
def test_hard_links_to_others_files_cannot_be_made(server: Path, confinement: Confinement) -> None:
    link = lambda: os.link(server / "data" / "file", confinement.scratch / "out" / "mine")  # noqa: E731
    assert confined(link, confinement) in (*DENIED, "EXDEV")


@needs_seccomp
@pytest.mark.parametrize(
    "touch",
    [
        lambda file: os.chmod(file, 0),
        lambda file: os.chown(file, os.getuid(), -1),
        lambda file: os.utime(file, (0, 0)),
        lambda file: os.truncate(file, 0),
        lambda file: os.setxattr(file, "user.x", b"y"),
        lambda file: os.open(file, os.O_RDONLY | os.O_TRUNC),
    ],
)
def test_what_landlock_does_not_see_is_denied_too(touch: Callable[[Path], object], server: Path) -> None:
    confinement = Confinement(scratch_in(server), server / "data")
    assert confined(lambda: touch(server / "data" / "file"), confinement) in DENIED
    assert (server / "data" / "file").read_text() == "private"


@needs_landlock
def test_landlock_alone_holds(confinement: Confinement, server: Path) -> None:
    def restrict() -> None:
        drop_privileges()
        landlock.restrict([Rule(server / "data", READ), Rule(Path("/proc"), READ)])

    assert outcome((server / "data" / "file").read_text, restrict) == "private"
    assert outcome((server / "micronet.db").read_text, restrict) == "EACCES"
    assert outcome(lambda: os.truncate(server / "data" / "file", 0), restrict) == "EACCES"
    assert outcome(lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(), restrict) in DENIED
    assert outcome(lambda: os.kill(os.getppid(), 0), restrict) in (*DENIED, None if landlock.abi() < 6 else "EPERM")
    if landlock.abi() >= 4:
        assert outcome(lambda: socket.create_connection(("127.0.0.1", 1), timeout=1), restrict) == "EACCES"
