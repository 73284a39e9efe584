"""Classic BPF, interpreted: what a seccomp filter answers to a system call, also on machines this is not."""

import errno
import struct
from collections.abc import Sequence

ALLOWED = "allowed"


def answer(program: Sequence[bytes], architecture: int, number: int, arguments: Sequence[int] = ()) -> str:
    """ALLOWED, or the name of the error. Raises for instructions and jumps that a kernel would refuse."""
    padded = [argument % 2**64 for argument in (*arguments, *[0] * 6)[:6]]
    call = struct.pack("<iIQ6Q", number - (number >> 31 << 32), architecture, 0, *padded)
    accumulator = position = 0
    while True:
        code, if_so, if_not, value = struct.unpack("=HBBI", program[position])
        position += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", call, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                position += if_so if accumulator == value else if_not
            case 0x35:
                position += if_so if accumulator >= value else if_not
            case 0x45:
                position += if_so if accumulator & value else if_not
            case 0x06 if value == 0x7FFF0000:
                return ALLOWED
            case 0x06 if value & 0xFFFF0000 == 0x00050000:
                return errno.errorcode[value & 0xFFFF]
            case _:
                raise AssertionError(f"instruction {code:#x} {value:#x}")
