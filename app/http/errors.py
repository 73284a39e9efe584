"""What only HTTP can get wrong: a branch of the one tree in `micronet.errors`.

ServiceError
└── HttpError
    ├── InvalidRequest             the request names something that is not as documented; has a list of faults
    │   └── InvalidSettings
    ├── NoSuchAddress
    ├── MethodNotAllowed
    ├── MalformedRequest           what came is no HTTP
    ├── HeadTooLarge
    ├── MalformedForm              the body is no multipart form
    ├── BodyTooLarge
    ├── UnsupportedMedia
    ├── ClientTooSlow              a body that stopped coming
    │   └── HeadTooSlow
    ├── ClientGone                 nobody is there to read an answer
    ├── TokenRequired
    ├── CrossSite                  a web page of somewhere else wants to act here
    ├── UnknownHost                the server was reached under a name it does not have
    ├── RangeNotSatisfiable
    ├── OffsetMismatch             a piece of a file that does not begin where the one before it ended
    ├── TooManyRequests
    ├── TooManyUploads
    ├── TooManyDownloads
    ├── TooManyStreams
    └── Internal                   a bug
"""

from collections.abc import Sequence

from app.http.problems import Fault
from worker.errors import ServiceError


class HttpError(ServiceError):
    """The request is not as the contract says."""

    code = "http"
    title = "The request cannot be served"


class InvalidRequest(HttpError):
    """Parts of the request that are not as documented, each with where it is and what would be right."""

    code = "invalid-request"
    title = "The request is not valid"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(_line, faults[:3]))[:500])
        self.faults = tuple(faults)


def _line(fault: Fault) -> str:
    return f"{fault.pointer}: {fault.detail}" if fault.pointer else fault.detail


class InvalidSettings(InvalidRequest):
    """Settings of a job that cannot be used."""

    code = "invalid-settings"
    title = "The settings are not valid"


class NoSuchAddress(HttpError):
    """Nothing is at this address."""

    code = "no-such-address"
    title = "No such page"


class MethodNotAllowed(HttpError):
    """The address is right, and something else can be done there: the header Allow says what."""

    code = "method-not-allowed"
    title = "Not a method of this address"


class MalformedRequest(HttpError):
    """What came over the connection is not HTTP as it is spoken here."""

    code = "malformed-request"
    title = "The request cannot be read"


class HeadTooLarge(HttpError):
    """Address and headers of the request are over their limit together."""

    code = "head-too-large"
    title = "The head of the request is too large"


class MalformedForm(HttpError):
    """The body is not the multipart form its header announces."""

    code = "malformed-form"
    title = "The form cannot be read"


class BodyTooLarge(HttpError):
    """The body, or a part of it, is over its limit."""

    code = "body-too-large"
    title = "The body is too large"


class UnsupportedMedia(HttpError):
    """The body is of a type that is not read here."""

    code = "unsupported-media-type"
    title = "Not a type of body that is read here"


class ClientTooSlow(HttpError):
    """The body stopped coming."""

    code = "request-timeout"
    title = "The body stopped coming"


class HeadTooSlow(ClientTooSlow):
    """The head of the request did not come in time."""

    title = "The head of the request did not come"


class ClientGone(HttpError):
    """The connection ended before the body did."""

    code = "client-gone"
    title = "The client went away"


class TokenRequired(HttpError):
    """No access token, or none that is valid."""

    code = "token-required"
    title = "An access token is needed"


class CrossSite(HttpError):
    """A web page of another site sent the request."""

    code = "cross-site"
    title = "Requests from other sites are refused"


class UnknownHost(HttpError):
    """The Host header names another server, or a proxy passed the request on to one that has no tokens."""

    code = "unknown-host"
    title = "Not a name of this server"


class RangeNotSatisfiable(HttpError):
    """The range asked for lies outside the file."""

    code = "range-not-satisfiable"
    title = "The range lies outside the file"

    def __init__(self, size: int) -> None:
        super().__init__(f"the file is of {size:,} bytes.")
        self.size = size


class OffsetMismatch(HttpError):
    """A piece of a file that does not begin where what is here ends."""

    code = "offset-mismatch"
    title = "The piece belongs elsewhere"

    def __init__(self, offset: int) -> None:
        super().__init__(f"{offset:,} bytes are here; the next piece has to begin there.")
        self.offset = offset


class TooManyRequests(HttpError):
    """More requests in a second than a team may send."""

    code = "too-many-requests"
    title = "Too many requests"
    retryable = True


class TooManyUploads(HttpError):
    """More uploads at once than a team may have."""

    code = "too-many-uploads"
    title = "Too many uploads at once"
    retryable = True


class TooManyDownloads(HttpError):
    """More downloads at once than a team may have, or all teams together."""

    code = "too-many-downloads"
    title = "Too many downloads at once"
    retryable = True


class TooManyStreams(HttpError):
    """More event streams than the server holds open, or than a team may have of them."""

    code = "too-many-streams"
    title = "Too many event streams are open"
    yours = False
    retryable = True


class Internal(HttpError):
    """A bug of the server, which has been logged. Nothing of it is shown."""

    code = "internal"
    title = "A fault of the server"
    yours = False
