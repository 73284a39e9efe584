"""What a job may use has bounds that it cannot lift, tried out for real."""

import ctypes
import os
import resource
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.worker.sandbox.confined import DENIED, NOBODY, confined, needs_seccomp, outcome, scratch_in
from worker.limits import MEBI, JobLimits
from worker.sandbox import Confinement, rlimits

FALLOC_FL_KEEP_SIZE = 1


def test_memory_is_bounded(confinement: Confinement, user: int | None) -> None:
    tight = replace(confinement, limits=replace(confinement.limits, memory_bytes=1024 * MEBI))
    assert confined(lambda: len(bytearray(2048 * MEBI)), tight, user) == "MemoryError"


def test_files_are_bounded(confinement: Confinement, user: int | None) -> None:
    tight = replace(confinement, limits=replace(confinement.limits, file_bytes=MEBI))
    write = lambda: (tight.scratch / "out" / "big").write_bytes(bytes(2 * MEBI))  # noqa: E731
    assert confined(write, tight, user) == "EFBIG"


def test_open_files_are_bounded(confinement: Confinement, user: int | None) -> None:
    assert confined(lambda: [os.pipe() for _ in range(confinement.limits.open_files)], confinement, user) == "EMFILE"


@needs_seccomp
def test_space_is_taken_only_by_files_as_long_as_it(confinement: Confinement, user: int | None) -> None:
    """For a limit of their size sees no other."""
    tight = replace(confinement, limits=replace(confinement.limits, file_bytes=MEBI))

    def allocate(mode: int, size: int) -> int:
        with (tight.scratch / "out" / "big").open("wb") as file:
            libc = ctypes.CDLL(None, use_errno=True)
            libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
            if libc.fallocate(file.fileno(), mode, 0, size) != 0:
                raise OSError(ctypes.get_errno(), "fallocate")
            return os.fstat(file.fileno()).st_blocks * 512

    assert confined(lambda: allocate(0, MEBI), tight, user) == MEBI
    assert confined(lambda: allocate(0, 2 * MEBI), tight, user) == "EFBIG"
    assert confined(lambda: allocate(FALLOC_FL_KEEP_SIZE, 2 * MEBI), tight, user) == "EPERM"


@needs_seccomp
def test_temporary_files_fall_back_to_those_that_had_a_name(confinement: Confinement, user: int | None) -> None:
    out = confinement.scratch / "out"

    def write() -> int:
        with tempfile.TemporaryFile(dir=out) as file:
            return file.write(b"text")

    assert confined(lambda: os.open(out, os.O_RDWR | os.O_TMPFILE), confinement, user) == "EPERM"
    assert confined(write, confinement, user) == 4


@pytest.mark.parametrize(("limit", "expected"), [(2, "RuntimeError"), (20, 100)])
def test_threads_are_bounded_far_above_what_the_supervisor_allows(limit: int, expected: object) -> None:
    """(Of root the kernel counts none.)"""
    if os.getuid() != 0:
        pytest.skip("only root can become nobody")
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        confinement = Confinement(scratch_in(Path(directory)), limits=JobLimits(processes=limit))
        assert confined(lambda: _threads(100), confinement, NOBODY) == expected


def test_a_neighbour_in_another_container_takes_no_thread_from_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel counts those of the user in all of them, and a job sees those of its own."""
    if os.getuid() != 0:
        pytest.skip("only root can become nobody")
    monkeypatch.setattr(rlimits, "_threads_of_this_user", lambda: 1)
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        confinement = Confinement(scratch_in(Path(directory)), limits=JobLimits(processes=20))

        def beside_a_neighbour() -> object:
            _threads(100)
            return confined(lambda: _threads(10), confinement)

        assert outcome(beside_a_neighbour, lambda: None, NOBODY) == 10


def _threads(number: int) -> int:
    """Start them; they stay."""
    threading.stack_size(1 << 16)
    wait = threading.Event()
    for _ in range(number):
        threading.Thread(target=wait.wait, daemon=True).start()
    return number


def test_no_core_is_left(confinement: Confinement) -> None:
    assert confined(lambda: resource.getrlimit(resource.RLIMIT_CORE), confinement) == (0, 0)


def test_limits_cannot_be_lifted(confinement: Confinement) -> None:
    lift = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))  # noqa: E731
    assert confined(lift, confinement) in (*DENIED, "ValueError")
