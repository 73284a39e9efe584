"""A job reaches no network, no other process and no door of the kernel, tried out for real."""

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.worker.sandbox.confined import DENIED, X86, confined, needs_seccomp, outcome
from worker.sandbox import Confinement, seccomp
from worker.sandbox.kernel import prctl, syscall
from worker.sandbox.privileges import drop_privileges


@needs_seccomp
@pytest.mark.parametrize(
    "attempt",
    [
        lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
        lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
        lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
        lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        socket.socketpair,
        os.fork,
        lambda: subprocess.run(["/bin/true"], check=True),
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
        lambda: os.execv("/bin/true", ["true"]),
        os.setsid,
        lambda: os.setpgid(0, os.getppid()),
        lambda: os.kill(os.getppid(), 0),
        lambda: os.kill(os.getppid(), signal.SIGKILL),
        lambda: os.kill(-1, 0),
        lambda: os.pidfd_open(os.getppid()),
        lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
        lambda: os.sched_setaffinity(os.getppid(), {0}),
        lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3)),
        lambda: os.memfd_create("hidden"),
        lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid()),
        lambda: prctl(1, 0),
        lambda: os.chroot("/"),
    ],
)
def test_nobody_else_is_reached(attempt: Callable[[], object], confinement: Confinement, user: int | None) -> None:
    assert confined(attempt, confinement, user) in DENIED


@needs_seccomp
@pytest.mark.skipif(not X86, reason="numbers of x86_64")
@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        (101, (16, "parent", 0, 0)),  # ptrace(PTRACE_ATTACH)
        (310, ("parent", None, 0, None, 0, 0)),  # process_vm_readv
        (165, (None, None, None, 0, None)),  # mount
        (272, (0x10000000,)),  # unshare(CLONE_NEWUSER)
        (321, (0, None, 0)),  # bpf
        (323, (0,)),  # userfaultfd
        (425, (1, None)),  # io_uring_setup
        (298, (None, 0, -1, -1, 0)),  # perf_event_open
        (250, (0, 0)),  # keyctl
        (29, (0, 4096, 0o600)),  # shmget
        (62 | 0x40000000, (0, 0)),  # kill by the x32 ABI
    ],
)
def test_kernel_doors_are_shut(number: int, arguments: tuple[object, ...], confinement: Confinement) -> None:
    def call() -> int:
        return syscall(number, *(os.getppid() if each == "parent" else each for each in arguments))  # type: ignore[arg-type]

    assert confined(call, confinement) == "EPERM"


@needs_seccomp
def test_newer_ways_look_as_if_they_were_not_there(confinement: Confinement) -> None:
    for number in (435, 437, 600):  # clone3, openat2, one that is yet to come
        assert confined(lambda number=number: syscall(number, None, 0, 0, 0), confinement) == "ENOSYS"  # type: ignore[misc]


@needs_seccomp
@pytest.mark.skipif(not X86, reason="x86 machine code")
def test_32_bit_calls_are_denied(confinement: Confinement) -> None:
    def call() -> int:
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")  # mov eax, 20 (getpid); int 0x80; ret
        address = ctypes.addressof(ctypes.c_char.from_buffer(code))
        return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())

    assert confined(call, confinement) == -1  # -EPERM


@needs_seccomp
def test_cuda_has_local_sockets_that_connect_to_nothing(server: Path, confinement: Confinement) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(server / "service"))
    listener.listen()

    def connect() -> None:
        socket.socket(socket.AF_UNIX).connect(str(server / "service"))

    with listener:
        assert confined(connect, replace(confinement, gpu=True)) in DENIED
    assert confined(lambda: len(socket.socketpair()), replace(confinement, gpu=True)) == 2


@needs_seccomp
def test_seccomp_alone_holds(confinement: Confinement) -> None:
    def install() -> None:
        drop_privileges()
        seccomp.install(gpu=False)

    assert outcome(socket.socket, install) == "EPERM"
    assert outcome(os.fork, install) == "EPERM"
    assert outcome(lambda: os.kill(os.getppid(), 0), install) == "EPERM"
