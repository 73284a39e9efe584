"""The filter, read as a program: each call of the table fails, on both machines, and the others do not."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.worker.sandbox.bpf import ALLOWED, answer
from worker.sandbox import seccomp
from worker.sandbox.syscalls import ABSENT, CHECKED, DENIED

PID = 4242
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
MACHINES = pytest.mark.parametrize("machine", ARCHITECTURES)
CLONE_VM_FS_FILES_SIGHAND, CLONE_VM_FS_SIGHAND, CLONE_THREAD, CLONE_NEWUSER = 0xF00, 0xB00, 0x10000, 0x10000000
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2
CLOSE_RANGE_UNSHARE, CLOSE_RANGE_CLOEXEC = 2, 4


def ask(machine: str, name: str, *arguments: int, gpu: bool = False) -> str:
    column, architecture = ARCHITECTURES[machine]
    number = {**DENIED, **CHECKED}[name][column]
    return answer(seccomp.program(machine, PID, gpu), architecture, number, arguments)


@MACHINES
def test_numbers_are_those_of_the_kernel_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip(f"no {HEADERS[machine]}")
    lines = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[machine].read_text())
    known = {name: int(number) for name, number in lines}
    column, _ = ARCHITECTURES[machine]
    newest = max(known.values())
    for name, numbers in {**DENIED, **CHECKED}.items():
        if numbers[column] != ABSENT and numbers[column] <= newest:
            assert known.get(name) == numbers[column], name
        elif numbers[column] == ABSENT:
            assert name not in known, name


def test_no_call_is_in_both_tables_or_shares_its_number() -> None:
    for column, _ in ARCHITECTURES.values():
        numbers = [each[column] for table in (DENIED, CHECKED) for each in table.values() if each[column] != ABSENT]
        assert len(numbers) == len(set(numbers))


@MACHINES
@pytest.mark.parametrize("gpu", [False, True])
def test_every_denied_call_is_denied(machine: str, gpu: bool) -> None:
    column, _ = ARCHITECTURES[machine]
    for name, numbers in DENIED.items():
        if numbers[column] != ABSENT:
            assert ask(machine, name, gpu=gpu) == "EPERM", name


@MACHINES
def test_what_is_in_no_table_is_allowed_up_to_the_newest_known(machine: str) -> None:
    column, architecture = ARCHITECTURES[machine]
    program = seccomp.program(machine, PID, gpu=False)
    named = {numbers[column] for table in (DENIED, CHECKED) for numbers in table.values()}
    for number in range(470):
        if number not in named:
            assert answer(program, architecture, number) == ALLOWED, number
    for number in (470, 512, 10_000):
        assert answer(program, architecture, number) == "ENOSYS"


@MACHINES
def test_other_architectures_are_denied(machine: str) -> None:
    program = seccomp.program(machine, PID, gpu=False)
    others = {0x40000003, 0x40000028, *(each for _, each in ARCHITECTURES.values())} - {ARCHITECTURES[machine][1]}
    for architecture in others:
        assert answer(program, architecture, 0) == "EPERM"


def test_x32_is_denied() -> None:
    program = seccomp.program("x86_64", PID, gpu=False)
    assert answer(program, ARCHITECTURES["x86_64"][1], 0x40000000 | 1) == "EPERM"
    assert answer(program, ARCHITECTURES["x86_64"][1], 0xFFFFFFFF) == "EPERM"


@MACHINES
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("clone", (CLONE_VM_FS_FILES_SIGHAND | CLONE_THREAD,), ALLOWED),
        ("clone", (signal.SIGCHLD,), "EPERM"),
        ("clone", (CLONE_VM_FS_FILES_SIGHAND | CLONE_THREAD | CLONE_NEWUSER,), "EPERM"),
        ("clone", (CLONE_VM_FS_SIGHAND | CLONE_THREAD,), "EPERM"),
        ("clone3", (), "ENOSYS"),
        ("openat2", (), "ENOSYS"),
        ("openat", (0, 0, os.O_RDONLY), ALLOWED),
        ("openat", (0, 0, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), ALLOWED),
        ("openat", (0, 0, os.O_RDONLY | os.O_TRUNC), "EPERM"),
        ("openat", (0, 0, 3 | os.O_TRUNC), "EPERM"),
        ("openat", (0, 0, os.O_RDWR | os.O_TMPFILE), "EPERM"),
        ("openat", (0, 0, os.O_RDONLY | os.O_DIRECTORY), ALLOWED),
        ("fallocate", (0, 0, 0, 1), ALLOWED),
        ("fallocate", (0, FALLOC_FL_KEEP_SIZE, 0, 1), "EPERM"),
        ("fallocate", (0, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 1), "EPERM"),
        ("close_range", (3, 5, 0), ALLOWED),
        ("close_range", (3, 5, CLOSE_RANGE_CLOEXEC), ALLOWED),
        ("close_range", (3, 5, CLOSE_RANGE_UNSHARE), "EPERM"),
        ("kill", (PID, signal.SIGABRT), ALLOWED),
        ("kill", (PID + 1, 0), "EPERM"),
        ("kill", (-1, signal.SIGKILL), "EPERM"),
        ("kill", (0, signal.SIGKILL), "EPERM"),
        ("tgkill", (PID, PID, signal.SIGABRT), ALLOWED),
        ("tgkill", (1, 1, signal.SIGABRT), "EPERM"),
        ("prlimit64", (0, 7, 0, 0), ALLOWED),
        ("prlimit64", (1, 7, 0, 0), "EPERM"),
        ("setpriority", (0, 0, 10), ALLOWED),
        ("setpriority", (0, 1, 10), "EPERM"),
        ("setpriority", (2, 0, 10), "EPERM"),
        ("sched_setaffinity", (0,), ALLOWED),
        ("sched_setaffinity", (1,), "EPERM"),
        ("prctl", (15,), ALLOWED),
        ("prctl", (1,), "EPERM"),
        ("fcntl", (0, 2), ALLOWED),
        ("fcntl", (0, 8), "EPERM"),
        ("fcntl", (0, 10), "EPERM"),
        ("fcntl", (0, 15), "EPERM"),
        ("connect", (), "EPERM"),
    ],
)
def test_arguments_decide(machine: str, name: str, arguments: tuple[int, ...], expected: str) -> None:
    assert ask(machine, name, *arguments) == expected


@MACHINES
@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_NETLINK, socket.AF_INET, socket.AF_INET6, 17, 40])
def test_only_cuda_has_sockets_and_only_local_ones(machine: str, family: int) -> None:
    local = family in (socket.AF_UNIX, socket.AF_NETLINK)
    assert ask(machine, "socket", family) == "EPERM"
    assert ask(machine, "socket", family, gpu=True) == (ALLOWED if local else "EPERM")
    assert ask(machine, "connect", gpu=True) == "EPERM"
