"""Landlock: a process gives up all files but those below the directories it names (Linux 5.13 on).

https://docs.kernel.org/userspace-api/landlock.html; numbers from linux/landlock.h. Kernels differ in what they can deny
(the ABI): each is asked for all it has. What Landlock does not see (chmod, truncate before ABI 3, sockets other than
TCP) is denied by seccomp. Nothing is ever executable: a job runs no other program.
"""

import errno
import os
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from worker.sandbox.kernel import syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on all architectures
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG = 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

READ = _READ_FILE | _READ_DIR
WRITE = READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER
DEVICE = READ | _WRITE_FILE | _IOCTL_DEV
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

_FIRST_13_RIGHTS = (1 << 13) - 1
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_UNIX_SOCKET, _SCOPE_SIGNAL = 1, 2


@dataclass(frozen=True, slots=True)
class Rule:
    """`access` (READ, WRITE or DEVICE) to a file, or to a directory and all below it."""

    path: Path
    access: int


def abi() -> int:
    """What the kernel can deny, as Landlock's version; 0 where it has no Landlock, or has it switched off."""
    try:
        return syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):  # EPERM: older container engines' own filter
            return 0
        raise


def restrict(rules: Iterable[Rule]) -> int:
    """Leave this thread and all it will start nothing but `rules`; the ABI, 0 if there is none and nothing was done.

    The process must have one thread and no_new_privs. Raises OSError, also for a path that is not there.
    """
    version = abi()
    if version == 0:
        return 0
    attributes = _ruleset_attributes(version)
    ruleset = syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for rule in rules:
            _add(ruleset, rule, _file_rights(version))
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _ruleset_attributes(version: int) -> bytes:
    """struct landlock_ruleset_attr: handled_access_fs, handled_access_net (ABI 4), scoped (ABI 6)."""
    fields = [_file_rights(version)]
    if version >= 4:
        fields.append(_BIND_TCP | _CONNECT_TCP)
    if version >= 6:
        fields.append(_SCOPE_ABSTRACT_UNIX_SOCKET | _SCOPE_SIGNAL)
    return struct.pack(f"={len(fields)}Q", *fields)


def _file_rights(version: int) -> int:
    rights = _FIRST_13_RIGHTS
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if version >= since:
            rights |= right
    return rights


def _add(ruleset: int, rule: Rule, handled: int) -> None:
    descriptor = os.open(rule.path, os.O_PATH | os.O_CLOEXEC)
    try:
        directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        access = rule.access & handled & (-1 if directory else _OF_FILES)
        syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, struct.pack("=Qi", access, descriptor), 0)
    finally:
        os.close(descriptor)
