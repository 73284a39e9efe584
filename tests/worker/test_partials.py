"""Unfinished files: of one owner, of one writer at a time, and gone when nobody goes on with them."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from worker.blobs.directory import DirectoryBlobs
from worker.partials import Partials
from worker.records import Records
from worker.settings import Settings
from worker.sweeping import sweep

ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture
def partials(tmp_path: Path) -> Partials:
    return Partials(tmp_path / "partials")


def begin(partials: Partials, owner: str, sha256: str, content: bytes, days_ago: float = 0) -> None:
    with partials.open(owner, sha256) as partial:
        partial.append(content)
    if days_ago:
        (path,) = (path for path in partials.root.iterdir() if path.name.endswith(sha256))
        then = time.time() - days_ago * 24 * 3600
        os.utime(path, (then, then))


def test_what_has_come_waits_for_the_rest(partials: Partials) -> None:
    assert partials.size("blue", ONE) == 0
    begin(partials, "blue", ONE, b"begun, ")
    assert partials.size("blue", ONE) == 7
    with partials.open("blue", ONE) as partial:
        partial.append(b"done")
        assert (partial.size, partial.chunk(0), partial.chunk(7), partial.chunk(11)) == (
            11,
            b"begun, done",
            b"done",
            b"",
        )
        partial.remove()
    assert partials.size("blue", ONE) == 0
    assert list(partials.root.iterdir()) == []


def test_owners_have_their_own(partials: Partials) -> None:
    for owner, content in (("blue", b"1"), ("red", b"12"), ("", b"123"), ("../blue/*", b"1234")):
        begin(partials, owner, ONE, content)
    begin(partials, "blue", TWO, b"12345")
    assert partials.unfinished("blue") == {ONE: (1, 0), TWO: (5, 0)}
    others = [partials.unfinished(owner) for owner in ("red", "", "../blue/*", "green")]
    assert others == [{ONE: (2, 0)}, {ONE: (3, 0)}, {ONE: (4, 0)}, {}]


def test_what_is_announced_is_known_until_the_file_goes(partials: Partials) -> None:
    with partials.open("", ONE) as partial:
        assert partial.length == 0
        partial.announce(10)
        partial.append(b"half")
        assert (partial.length, partials.unfinished("")) == (10, {ONE: (4, 10)})
    with partials.open("", ONE) as partial:
        assert (partial.length, partial.size) == (10, 4)
        partial.announce(12)
    assert partials.unfinished("") == {ONE: (4, 12)}
    with partials.open("", ONE) as partial:
        partial.remove()
    assert partials.unfinished("") == {}


def test_one_that_is_given_up_goes_unless_it_is_written(partials: Partials) -> None:
    assert not partials.remove("blue", ONE)
    begin(partials, "blue", ONE, b"begun")
    assert not partials.remove("red", ONE)
    with partials.open("blue", ONE), pytest.raises(BlockingIOError):
        partials.remove("blue", ONE)
    assert partials.remove("blue", ONE)
    assert not partials.remove("blue", ONE)
    assert list(partials.root.iterdir()) == []


_ALONE = """
import sys, time
from pathlib import Path
from worker.partials import Partials
partials, counter = Partials(Path(sys.argv[1])), Path(sys.argv[2])
for _ in range(50):
    with partials.alone("blue"):
        seen = int(counter.read_text())
        time.sleep(0.001)
        counter.write_text(str(seen + 1))
"""


def test_processes_are_alone_one_after_another(partials: Partials, tmp_path: Path) -> None:
    """Each adds 1 to a number, 50 times, with a pause between reading and writing it."""
    counter = tmp_path / "counter"
    counter.write_text("0")
    arguments = [sys.executable, "-c", _ALONE, str(partials.root), str(counter)]
    processes = [subprocess.Popen(arguments) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert counter.read_text() == "150"
    assert list(partials.root.iterdir()) == [], "the lock goes with who held it"


def test_nobody_waits_for_another_owner(partials: Partials) -> None:
    with partials.alone("blue"), partials.alone("red"):
        assert partials.unfinished("blue") == {}
        assert partials.sweep(0) == 0, "what is locked stays"


def test_a_file_has_one_writer(partials: Partials) -> None:
    with partials.open("", ONE), pytest.raises(BlockingIOError):
        partials.open("", ONE)
    with partials.open("", ONE) as partial:
        assert partial.size == 0


def test_one_that_got_no_byte_does_not_stay(partials: Partials) -> None:
    with partials.open("", ONE):
        pass
    assert list(partials.root.iterdir()) == []


def test_one_that_is_finished_while_another_waits_for_it_is_begun_again(partials: Partials) -> None:
    """The second opens the path, the first removes the file, the second locks what is no file any more."""
    first = partials.open("", ONE)
    first.append(b"all")
    finished = []

    def flock_late(descriptor: int, operation: int) -> None:
        if not finished:
            finished.append(True)
            first.remove()
            first.close()
        real(descriptor, operation)

    import fcntl

    real = fcntl.flock
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", flock_late)
        with partials.open("", ONE) as second:
            assert second.size == 0
            second.append(b"anew")
    assert partials.size("", ONE) == 4


def test_a_sweep_takes_the_old_that_nobody_writes(partials: Partials) -> None:
    begin(partials, "", ONE, b"old", days_ago=1.1)
    begin(partials, "", TWO, b"younger", days_ago=0.9)
    with partials.open("", ONE):
        assert partials.sweep(1) == 0
    assert partials.sweep(1) == 1
    assert partials.unfinished("") == {TWO: (7, 0)}
    assert partials.sweep(1) == 0


def test_workers_sweep_them_too(records: Records, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, partial_days=2)
    partials = Partials(settings.partials)
    begin(partials, "", ONE, b"old", days_ago=2.1)
    begin(partials, "", TWO, b"young", days_ago=1.9)
    sweep(settings, records, DirectoryBlobs(tmp_path / "blobs"))
    assert partials.unfinished("") == {TWO: (5, 0)}
