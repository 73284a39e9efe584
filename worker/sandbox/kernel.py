"""System calls that Python has no function for."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

Argument = int | bytes | ctypes.Array[ctypes.c_char] | None


def syscall(number: int, *arguments: Argument) -> int:
    """The system call's answer; bytes and buffers are passed by address. Raises OSError."""
    passed = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    return _checked(_libc.syscall(ctypes.c_long(number), *passed))


def prctl(option: int, *arguments: Argument) -> int:
    """prctl(2). Raises OSError."""
    passed = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments]
    return _checked(_libc.prctl(ctypes.c_int(option), *passed, *[ctypes.c_ulong(0)] * (4 - len(passed))))


def capset(header: bytes, sets: bytes) -> None:
    """capset(2). Raises OSError."""
    _checked(_libc.capset(header, sets))


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(answer)
