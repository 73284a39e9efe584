"""A seccomp filter: which system calls fail, as a classic BPF program put together by hand.

https://docs.kernel.org/userspace-api/seccomp_filter.html. Calls fail with EPERM, as if the process lacked the right, so
that libraries that merely try go on; what libc has an older way for (clone3, openat2) fails with ENOSYS.
"""

import ctypes
import errno
import fcntl
import os
import platform
import socket
import struct
from collections.abc import Mapping

from worker.sandbox.kernel import prctl
from worker.sandbox.privileges import PR_SET_PDEATHSIG
from worker.sandbox.syscalls import AARCH64, ABSENT, CHECKED, DENIED, FIRST_UNKNOWN, X86_64

Program = list[bytes]
"""Instructions, 8 bytes each."""

_PR_GET_SECCOMP, _PR_SET_SECCOMP, _MODE_FILTER = 21, 22, 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _AND, _RETURN = 0x20, 0x54, 0x06
_JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT = 0x15, 0x35, 0x45
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

_MACHINES: Mapping[str, tuple[int, int]] = {
    "x86_64": (X86_64, 0xC000003E),
    "aarch64": (AARCH64, 0xC00000B7),
}
"""Column of the table and AUDIT_ARCH_* by machine."""

_X32 = 0x40000000
_CLONE_FILES, _CLONE_THREAD = 0x00000400, 0x00010000
_NEW_NAMESPACES = 0x7E020000  # mount, cgroup, uts, ipc, user, pid, net
_F_SETSIG, _F_SETOWN_EX = 10, 15
_CLOSE_RANGE_CLOEXEC = 4
_NAMELESS = 0o20000000  # what O_TMPFILE has that no other flag of `open` has


def supported() -> bool:
    """Whether this kernel filters, and this machine's numbers are known here."""
    try:
        prctl(_PR_GET_SECCOMP)
    except OSError:
        return False
    return platform.machine() in _MACHINES


def install(gpu: bool) -> bool:
    """Filter this thread and all it will start, for ever; False if there is no support, and nothing was done.

    The process must have no_new_privs. `gpu` leaves CUDA its local sockets. Raises OSError.
    """
    if not supported():
        return False
    code = b"".join(program(platform.machine(), os.getpid(), gpu))
    instructions = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))  # struct sock_fprog
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, header)
    return True


def program(machine: str, pid: int, gpu: bool) -> Program:
    """The filter for process `pid` on `machine`."""
    column, architecture = _MACHINES[machine]
    code = [_load(_ARCHITECTURE), *_unless_equal(architecture, _fail(errno.EPERM)), _load(_NUMBER)]
    if column == X86_64:
        code += [_jump(_JUMP_AT_LEAST, _X32, 0, 1), _fail(errno.EPERM)]
    code += [_jump(_JUMP_AT_LEAST, FIRST_UNKNOWN, 0, 1), _fail(errno.ENOSYS)]
    checks = {CHECKED[name][column]: body for name, body in _checks(pid, gpu).items()}
    checks |= {numbers[column]: [_fail(errno.EPERM)] for numbers in DENIED.values()}
    checks.pop(ABSENT, None)
    for number, body in checks.items():
        code += [_jump(_JUMP_EQUAL, number, 0, len(body)), *body]
    return [*code, _allow()]


def _checks(pid: int, gpu: bool) -> dict[str, Program]:
    """By call, what decides: each of these ends in an answer."""
    myself = _only(0, pid)
    local = (socket.AF_UNIX, socket.AF_NETLINK)
    return {
        "clone3": [_fail(errno.ENOSYS)],  # its flags lie in memory, where a filter cannot look
        "openat2": [_fail(errno.ENOSYS)],
        "clone": _threads_only(),
        "open": _named_and_not_truncating_reader(1),
        "openat": _named_and_not_truncating_reader(2),
        "fallocate": _only(1, 0),  # other modes take space beyond the end of a file, which no limit of its size sees
        "close_range": _any_of(2, 0, _CLOSE_RANGE_CLOEXEC),  # and not with a table of files of its own
        "kill": myself,
        "tgkill": myself,
        "prlimit64": _only(0, 0),
        "setpriority": [_argument(0), *_unless_equal(0, _fail(errno.EPERM)), *_only(1, 0)],
        "sched_setaffinity": _only(0, 0),
        "sched_setscheduler": _only(0, 0),
        "sched_setparam": _only(0, 0),
        "sched_setattr": _only(0, 0),
        "prctl": _none_of(0, PR_SET_PDEATHSIG),
        "fcntl": _none_of(1, fcntl.F_SETOWN, _F_SETSIG, _F_SETOWN_EX),  # signals to others, by way of a file
        "socket": _any_of(0, *local) if gpu else [_fail(errno.EPERM)],
        "socketpair": _any_of(0, socket.AF_UNIX) if gpu else [_fail(errno.EPERM)],
        "connect": [_fail(errno.EPERM)],  # local services have sockets too: databases, container engines
    }


def _threads_only() -> Program:
    """Threads that share their open files: the supervisor looks at one table of them."""
    return [
        _argument(0),
        _jump(_JUMP_ANY_BIT, _NEW_NAMESPACES, 0, 1),
        _fail(errno.EPERM),
        _jump(_JUMP_ANY_BIT, _CLONE_THREAD, 1, 0),
        _fail(errno.EPERM),
        _jump(_JUMP_ANY_BIT, _CLONE_FILES, 1, 0),
        _fail(errno.EPERM),
        _allow(),
    ]


def _named_and_not_truncating_reader(flags: int) -> Program:
    """Denied: a file that never had a name; and emptying one while opening it, but not for writing, which Landlock does
    not see before ABI 3.
    """
    mode = os.O_TRUNC | os.O_ACCMODE
    return [
        _argument(flags),
        _jump(_JUMP_ANY_BIT, _NAMELESS, 0, 1),
        _fail(errno.EPERM),
        _instruction(_AND, mode),
        *_not(os.O_TRUNC, os.O_TRUNC | os.O_ACCMODE),
        _allow(),
    ]


def _only(argument: int, value: int) -> Program:
    return _any_of(argument, value)


def _any_of(argument: int, *values: int) -> Program:
    code = [_argument(argument)]
    for value in values:
        code += [_jump(_JUMP_EQUAL, value, 0, 1), _allow()]
    return [*code, _fail(errno.EPERM)]


def _none_of(argument: int, *values: int) -> Program:
    return [_argument(argument), *_not(*values), _allow()]


def _not(*values: int) -> Program:
    return [each for value in values for each in (_jump(_JUMP_EQUAL, value, 0, 1), _fail(errno.EPERM))]


def _unless_equal(value: int, otherwise: bytes) -> Program:
    return [_jump(_JUMP_EQUAL, value, 1, 0), otherwise]


def _argument(index: int) -> bytes:
    """Load the lower half of an argument, which is all of those looked at here; both machines are little-endian."""
    return _load(_ARGUMENTS + 8 * index)


def _load(offset: int) -> bytes:
    return _instruction(_LOAD, offset)


def _jump(kind: int, value: int, if_so: int, if_not: int) -> bytes:
    """Skip `if_so` or `if_not` instructions."""
    return struct.pack("=HBBI", kind, if_so, if_not, value)


def _allow() -> bytes:
    return _instruction(_RETURN, _ALLOW)


def _fail(number: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | number)


def _instruction(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)
