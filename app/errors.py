"""What only the command line meets: a branch of the one tree in `micronet.errors`.

MicronetError
└── CommandError
    ├── FileMissing
    ├── FileUnreadable
    ├── NoSpace                no disk left, here
    ├── MachineTooSmall        no memory left, here
    ├── AnotherVersion         it answered, in a form that this version does not know
    ├── Interrupted            this program was stopped before the job ended that it ran, or followed
    └── NotGoodEnough
"""

import errno

from micronet.errors import MicronetError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system calls it where no disk is left."""


class CommandError(MicronetError):
    """The command cannot do what it was asked to."""

    code = "command"
    title = "The command failed"


class FileMissing(CommandError):
    """No file is at the path that was given."""

    code = "file-not-found"
    title = "No such file"


class FileUnreadable(CommandError):
    """The file is there, and the system does not let it be read."""

    code = "file"
    title = "The file cannot be read"


class NoSpace(CommandError):
    """What the command prints or makes does not fit where it is to go."""

    code = "no-space"
    title = "There is no space left"
    yours = False


class MachineTooSmall(CommandError):
    """On the command line: the network does not fit this machine's memory."""

    code = "out-of-memory"
    title = "Out of memory"
    yours = False


class AnotherVersion(CommandError):
    """The job succeeded, and another version of this program wrote its result: `--json` prints it as it is."""

    code = "another-version"
    title = "The result is of another version"
    yours = False


class Interrupted(CommandError):
    """A signal stopped this program, as Ctrl-C does, before the job ended: one that it ran stops with it, one that it
    followed goes on."""

    code = "interrupted"
    title = "Stopped before the job ended"

    def __init__(self, detail: str, signal_number: int) -> None:
        super().__init__(detail)
        self.signal_number = signal_number


class NotGoodEnough(CommandError):
    """Everything went well, and the score is not what the options of the command ask for: nothing else is wrong."""

    code = "not-good-enough"
    title = "The score is not good enough"
