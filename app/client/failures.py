"""What a server answers instead of what it was asked for, and what it means that it does not answer.

MicronetError
└── ServerError                the server says no, or cannot be asked
    └── Later                      not now: the same request may go well in a while
        └── Lost                       it may have been done all the same
"""

import re
from typing import Any

import httpx
from pydantic import ValidationError

from app.client.shapes import Fault, Problem, Shape
from micronet.errors import MicronetError

_LATER = frozenset({408, 429, 502, 503, 504, 507})
_NOT_SOON = frozenset({"storage-quota", "dataset-missing", "dataset-corrupt"})
"""Codes of problems with such a status that somebody has to do something about."""
_SHOWN = 500
"""Characters of an answer that is no problem of ours."""
_NO_PROBLEM = "server"
"""The code of such an answer."""
_LOST = frozenset({(502, _NO_PROBLEM), (504, _NO_PROBLEM), (503, "unavailable")})
"""Statuses and codes of answers that may come after the work: a proxy lost the answer, or the server its database."""
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
"""What Python puts before the system's words."""


class ServerError(MicronetError):
    """What the server answered instead, with the server's own code, title and detail."""

    def __init__(self, code: str, title: str, detail: str, yours: bool) -> None:
        super().__init__(detail)
        self.code, self.title, self.yours = code, title, yours  # type: ignore[misc]  # of this answer, not of the class


class Later(ServerError):
    """Nobody answers, or not now. `seconds`: how long the server asked to be left alone."""

    def __init__(self, code: str, title: str, detail: str, yours: bool, seconds: float = 0.0) -> None:
        super().__init__(code, title, detail, yours)
        self.seconds = seconds


class Lost(Later):
    """No answer of the server came, or none that says what became of the request: it may have been done."""


def checked(answer: httpx.Response) -> httpx.Response:
    """The answer, if it is what was asked for. Raises Later, ServerError."""
    if answer.is_success or answer.status_code == httpx.codes.NOT_MODIFIED:
        return answer
    status = answer.status_code
    problem = _problem(answer) or Problem(
        code=_NO_PROBLEM, title=f"The server answered {status}", detail=answer.text[:_SHOWN]
    )
    code, title = problem.code, problem.title
    detail = _without_access(answer) if code == "token-required" else _detail(problem)
    yours = status < httpx.codes.INTERNAL_SERVER_ERROR
    if status in _LATER and code not in _NOT_SOON:
        wait = answer.headers.get("Retry-After", "")
        kind = Lost if (status, code) in _LOST else Later
        raise kind(code, title, detail, yours, float(wait) if wait.isdecimal() else 0.0)
    raise ServerError(code, title, detail, yours)


def content_of(answer: httpx.Response, shape: type[Shape] = Shape) -> dict[str, Any]:
    """The JSON object in an answer, as it came. Raises Later, ServerError, also where it has not that shape: something
    else answers at this address."""
    content = _json(checked(answer))
    if not isinstance(content, dict):
        raise no_micronet(without_password(answer.url), f"what is no JSON object: {answer.text[:200]!r}")
    try:
        shape.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        why = ": ".join(filter(None, (".".join(map(str, fault["loc"])), fault["msg"])))
        said = f"a JSON object that is none of micronet's ({why}): {answer.text[:200]!r}"
        raise no_micronet(without_password(answer.url), said) from None
    return content


def no_micronet(url: str, what: str) -> ServerError:
    """Something else answers at this address. `what`: what it answered with."""
    return ServerError("no-micronet", "This is no server of ours", f"{url} answered with {what}", yours=True)


def unsendable(detail: str) -> ServerError:
    """What is asked for is nothing that a request could carry."""
    return ServerError("request", "The request cannot be sent", detail, yours=True)


def without_password(url: httpx.URL) -> str:
    """An address as anybody may read it."""
    return str(url.copy_with(userinfo=b""))


def unreachable(error: httpx.TransportError, url: str, known: bool) -> ServerError:
    """Why there was no answer from `url`. Only from a server that is `known`, or that is there, one may come later.

    A server that was never met and takes no connection is more likely a wrong address than one that starts.
    """
    detail = f"{url}: {_ERRNO.sub('', str(error)) or type(error).__name__}"
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return unsendable(detail)
    code, title = "unreachable", "The server does not answer"
    never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    if never_sent and not known:
        hint = "--server or MICRONET_SERVER names another; `micronet serve` starts one here"
        return ServerError(code, title, f"{detail}. {hint}.", yours=False)
    return (Later if never_sent else Lost)(code, title, detail, yours=False)


def _json(answer: httpx.Response) -> object:
    """What the JSON of an answer says; None where it is none, or so deep that nobody could read it."""
    try:
        content: object = answer.json()
    except (ValueError, RecursionError):
        return None
    return content


def _problem(answer: httpx.Response) -> Problem | None:
    """What the answer says is wrong, if it is in this service's words."""
    try:
        return Problem.model_validate(_json(answer))
    except ValidationError:
        return None


def _detail(problem: Problem) -> str:
    """What is wrong, each fault once: the detail of a problem tells the first of them itself."""
    told = problem.detail
    return "; ".join([told, *(_said(fault) for fault in problem.errors or () if fault.detail not in told)])


def _said(fault: Fault) -> str:
    place = fault.pointer or fault.parameter
    return f"{place}: {fault.detail}" if place else fault.detail


def _without_access(answer: httpx.Response) -> str:
    url = answer.request.url
    server = f"{url.scheme}://{url.netloc.decode()}"
    if answer.request.headers.get("Authorization", "").startswith("Bearer "):
        return f"{server} does not know the token that --token or MICRONET_TOKEN gives, or not any more."
    made = "who runs the server makes them, with `micronet token create TEAM`"
    return f"{server} asks for an access token: give one with --token or MICRONET_TOKEN; {made}."
