"""Answers of a server, read: they are what was asked for, or an error that says what came instead."""

from typing import Any

import httpx
from pydantic import ValidationError

from app.client.addresses import without_password
from app.client.errors import Later, Lost, NoMicronet, Refused, ServerError
from app.client.shapes import Fault, Problem, Shape

_LATER = frozenset({408, 429, 502, 503, 504, 507})
_NOT_SOON = frozenset({"storage-quota", "dataset-missing", "dataset-corrupt"})
"""Codes of problems with such a status that somebody has to do something about."""
_SHOWN = 500
"""Characters of an answer that is no problem of ours."""
_LOST = frozenset({(502, Refused.code), (504, Refused.code), (503, "unavailable")})
"""Statuses and codes of answers that may come after the work: a proxy lost the answer, or the server its database."""


def checked(answer: httpx.Response) -> httpx.Response:
    """The answer, if it is what was asked for. Raises Later, ServerError."""
    if answer.is_success or answer.status_code == httpx.codes.NOT_MODIFIED:
        return answer
    error, status = _refusal(answer), answer.status_code
    if status in _LATER and error.code not in _NOT_SOON:
        wait = answer.headers.get("Retry-After", "")
        later = (Lost if (status, error.code) in _LOST else Later).of(error)
        later.seconds = float(wait) if wait.isdecimal() else 0.0
        raise later
    raise error


def content_of(answer: httpx.Response, shape: type[Shape] = Shape) -> dict[str, Any]:
    """The JSON object in an answer, as it came. Raises Later, ServerError, also where it has not that shape: something
    else answers at this address."""
    content = _json(checked(answer))
    if not isinstance(content, dict):
        raise no_micronet(answer, f"what is no JSON object: {answer.text[:200]!r}")
    try:
        shape.model_validate(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        why = ": ".join(filter(None, (".".join(map(str, fault["loc"])), fault["msg"])))
        said = f"a JSON object that is none of micronet's ({why}): {answer.text[:200]!r}"
        raise no_micronet(answer, said) from None
    return content


def no_micronet(answer: httpx.Response, what: str) -> NoMicronet:
    """Something else answers at this address. `what`: what it answered with."""
    return NoMicronet(f"{without_password(answer.url)} answered with {what}")


def _refusal(answer: httpx.Response) -> ServerError:
    """Why the server did not do it: in its own words, or where there are none, what came in place of them."""
    yours = answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR
    problem = _problem(answer)
    if problem is None:
        said = answer.text[:_SHOWN].strip() or answer.reason_phrase
        return Refused(f"{without_password(answer.url)} answered {answer.status_code}: {said}", yours=yours)
    detail = _without_access(answer) if problem.code == "token-required" else _detail(problem)
    return ServerError(detail, code=problem.code, title=problem.title, yours=yours)


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
