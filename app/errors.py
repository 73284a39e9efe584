"""What only the command line meets: a branch of the one tree in `micronet.errors`.

MicronetError
└── CommandError
    ├── FileMissing
    ├── FileUnreadable
    ├── NoSpace                no disk left, here
    ├── MachineTooSmall        no memory left, here
    ├── Unreachable            the server that was named
    ├── Unsendable             an address, or a header, that HTTP does not have
    ├── NoMicronet             something else answers there
    ├── AnotherVersion         it answered, in a form that this version does not know
    ├── Refused                it said no, in words that are not its own: a proxy's, say
    ├── Damaged                what came is not what the job made
    ├── JobCanceled
    ├── Interrupted            this program was stopped; the job it followed was not
    └── NotGoodEnough
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


class Unreachable(CommandError):
    """The server that was named does not answer, or the connection to it broke."""

    code = "unreachable"
    title = "The server does not answer"
    yours = False


class Unsendable(CommandError):
    """The address of the server, or the token, is nothing that a request could carry: look at --server and --token."""

    code = "request"
    title = "The request cannot be sent"


class NoMicronet(CommandError):
    """Something answers at this address, and not in the words of this service: look at --server."""

    code = "no-micronet"
    title = "This is no server of ours"


class AnotherVersion(CommandError):
    """The job succeeded, and another version of this program wrote its result: `--json` prints it as it is."""

    code = "another-version"
    title = "The result is of another version"
    yours = False


class Refused(CommandError):
    """What answered is no problem document of this server: a proxy between, or another program on its port."""

    code = "server"
    title = "The server refused, and did not say why"


class Damaged(CommandError):
    """What came of a file that a job made has not the hash or the size that the job tells, so none of it is kept."""

    code = "damaged"
    title = "The file came damaged"
    yours = False


class JobCanceled(CommandError):
    """Somebody canceled the job that was being followed."""

    code = "canceled"
    title = "The job was canceled"


class Interrupted(CommandError):
    """A signal stopped this program, as Ctrl-C does, before the job that it followed ended: the job goes on."""

    code = "interrupted"
    title = "Stopped before the job ended"

    def __init__(self, detail: str, signal_number: int) -> None:
        super().__init__(detail)
        self.signal_number = signal_number


class NotGoodEnough(CommandError):
    """Everything went well, and the score is not what the options of the command ask for: nothing else is wrong."""

    code = "not-good-enough"
    title = "The score is not good enough"
