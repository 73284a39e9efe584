"""What only the command line meets: a branch of the one tree in `micronet.errors`.

MicronetError
└── CommandError
    ├── FileMissing
    ├── FileUnreadable
    ├── MachineTooSmall        no memory left, here
    ├── Unreachable            the server that was named
    ├── NotReady               it is there, and cannot work
    ├── Refused                it said no, in words that are not its own: a proxy's, say
    └── JobCanceled
"""

from micronet.errors import MicronetError


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


class MachineTooSmall(CommandError):
    """On the command line: the network does not fit this machine's memory."""

    code = "out-of-memory"
    title = "Out of memory"
    yours = False


class Unreachable(CommandError):
    """The server that was named does not answer, or the connection to it broke."""

    code = "unreachable"
    title = "The server does not answer"
    yours = False


class NotReady(CommandError):
    """The server answers, and for a minute has not become able to work: /health/ready says which part fails."""

    code = "not-ready"
    title = "The server is not ready"
    yours = False


class Refused(CommandError):
    """What answered is no problem document of this server: a proxy between, or another program on its port."""

    code = "server"
    title = "The server refused, and did not say why"


class JobCanceled(CommandError):
    """Somebody canceled the job that was being followed."""

    code = "canceled"
    title = "The job was canceled"
