"""What a client meets where a server says no or cannot be asked: a branch of the one tree in `micronet.errors`.

MicronetError
└── ServerError                the server says no, in words of its own, or cannot be asked
    ├── Unreachable                nobody answers, or the connection broke
    ├── Unsendable                 an address, or a header, that HTTP does not have
    ├── NoMicronet                 something else answers there
    ├── Refused                    it said no, in words that are not its own: a proxy's, say
    ├── Damaged                    what came is not what the job made
    ├── JobCanceled
    └── Later                      not now: the same request may go well in a while
        └── Lost                       it may have been done all the same

Later and Lost say when to ask again, and not what is wrong: code and title are those of what they are made of.
"""

from typing import Self

from micronet.errors import MicronetError


class ServerError(MicronetError):
    """What the server answered instead: `code`, `title` and `yours` as it says them, or where not given the class's."""

    def __init__(
        self, detail: str, *, code: str | None = None, title: str | None = None, yours: bool | None = None
    ) -> None:
        super().__init__(detail)
        told = {"code": code, "title": title, "yours": yours}
        vars(self).update({name: value for name, value in told.items() if value is not None})

    @classmethod
    def of(cls, error: MicronetError, detail: str | None = None) -> Self:
        """The same error as one of this class; with a detail that says more, if one is given."""
        return cls(str(error) if detail is None else detail, code=error.code, title=error.title, yours=error.yours)


class Unreachable(ServerError):
    """The server that was named does not answer, or the connection to it broke."""

    code = "unreachable"
    title = "The server does not answer"
    yours = False


class Unsendable(ServerError):
    """The address of the server, or the token, is nothing that a request could carry: look at --server and --token."""

    code = "request"
    title = "The request cannot be sent"


class NoMicronet(ServerError):
    """Something answers at this address, and not in the words of this service: look at --server."""

    code = "no-micronet"
    title = "This is no server of ours"


class Refused(ServerError):
    """What answered is no problem document of this server: a proxy between, or another program on its port."""

    code = "server"
    title = "The server refused, and did not say why"


class Damaged(ServerError):
    """What came of a file that a job made has not the hash or the size that the job tells, so none of it is kept."""

    code = "damaged"
    title = "The file came damaged"
    yours = False


class JobCanceled(ServerError):
    """Somebody canceled the job that was being followed."""

    code = "canceled"
    title = "The job was canceled"


class Later(ServerError):
    """Nobody answers, or not now. `seconds`: how long the server asked to be left alone."""

    seconds: float = 0.0


class Lost(Later):
    """No answer of the server came, or none that says what became of the request: it may have been done."""
