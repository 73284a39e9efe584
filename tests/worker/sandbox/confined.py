"""Functions run in a process of their own that has entered the sandbox: what became of each."""

import errno
import os
import pickle
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.sandbox import Confinement, available, enter

NOBODY = 65534
DENIED = ("EPERM", "EACCES")
X86 = platform.machine() == "x86_64"

needs_landlock = pytest.mark.skipif(available().landlock == 0, reason="this kernel has no Landlock")
needs_seccomp = pytest.mark.skipif(not available().seccomp, reason="this kernel has no seccomp filters")


def scratch_in(directory: Path) -> Path:
    """A scratch directory with a checkpoint, which anybody may enter."""
    scratch = directory / "scratch" / "job"
    for name in ("in", "out", "tmp", "journal"):
        (scratch / name).mkdir(parents=True)
        (scratch / name).chmod(0o777)
    (scratch / "in" / "checkpoint").write_bytes(b"weights")
    return scratch


def outcome(function: Callable[[], object], before: Callable[[], object], user: int | None = None) -> object:
    """What `function` answers, or the name of its error, in a forked process after `before`, as user `user`."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(_answer(function, before, user)))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    return pickle.loads(answer) if answer else f"exit {os.waitstatus_to_exitcode(status)}"


def confined(function: Callable[[], object], confinement: Confinement, user: int | None = None) -> object:
    """The same, after entering the sandbox."""
    return outcome(function, lambda: enter(confinement), user)


def _answer(function: Callable[[], object], before: Callable[[], object], user: int | None) -> object:
    try:
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        before()
    except BaseException as error:
        return f"not confined: {error!r}"
    try:
        answer = function()
        pickle.dumps(answer)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    except BaseException as error:
        return type(error).__name__
    return answer
