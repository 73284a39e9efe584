"""Errors as RFC 9457 problems."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = {429: 1, 503: 5, 507: 60}
"""`Retry-After` of the statuses where trying again may help."""
OFFSET, LENGTH = "Upload-Offset", "Upload-Length"
"""Headers that say how many bytes of a file are here, and how many it has in all."""


class Fault(BaseModel):
    """One thing that is wrong: in the body at a JSON pointer (RFC 6901), else in a parameter of the request."""

    model_config = ConfigDict(frozen=True)

    detail: str
    pointer: str | None = Field(default=None, description="where in the form: /settings/bits/param_bits")
    parameter: str | None = Field(default=None, description="name of the header, query or path parameter")
    code: str | None = Field(default=None, description="code of the error a job would have ended with")


class Problem(BaseModel):
    """Why a request was not served. `code` is stable; `type` is the address of its description."""

    model_config = ConfigDict(frozen=True)

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str = Field(description="path of the request")
    errors: list[Fault] | None = None


ExtraHeaders = Mapping[str, str]


def problem_response(problem: Problem, headers: ExtraHeaders | None = None) -> Response:
    """The answer that says so."""
    retry = {"Retry-After": str(RETRY_SECONDS[problem.status])} if problem.status in RETRY_SECONDS else {}
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, problem.status, {**retry, **(headers or {})}, media_type=MEDIA_TYPE)


def make_problem(status: int, what: tuple[str, str, str], path: str, faults: tuple[Fault, ...] = ()) -> Problem:
    """A problem of a request to `path`. `what`: code, title, detail."""
    code, title, detail = what
    return Problem(
        type=f"/problems/{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        instance=path[:1000],
        errors=list(faults) or None,
    )
