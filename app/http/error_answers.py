"""From errors to answers: one table of statuses, and the handlers that put it to use."""

from collections.abc import Mapping

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from app.http import errors as h
from app.http.problems import OFFSET, ExtraHeaders, Fault, make_problem, problem_response
from micronet import errors as m
from worker import errors as w

log = structlog.get_logger()

STATUS: Mapping[type[m.MicronetError], int] = {
    m.MicronetError: 422,
    m.UnknownTrack: 422,
    m.DatasetMissing: 503,
    m.DatasetCorrupt: 503,
    w.JobNotFound: 404,
    w.JobNotEnded: 409,
    w.CheckpointNotFound: 404,
    w.BlobNotFound: 404,
    w.BlobGone: 410,
    w.IdempotencyConflict: 422,
    w.TeamQuota: 429,
    w.StorageFull: 507,
    w.HashMismatch: 422,
    w.Unavailable: 503,
    w.BlobCorrupt: 500,
    h.NoSuchAddress: 404,
    h.MethodNotAllowed: 405,
    h.MalformedRequest: 400,
    h.HeadTooLarge: 431,
    h.InvalidRequest: 422,
    h.MalformedForm: 400,
    h.BodyTooLarge: 413,
    h.UnsupportedMedia: 415,
    h.ClientTooSlow: 408,
    h.ClientGone: 400,
    h.TokenRequired: 401,
    h.CrossSite: 403,
    h.UnknownHost: 421,
    h.RangeNotSatisfiable: 416,
    h.OffsetMismatch: 409,
    h.TooManyRequests: 429,
    h.TooManyUploads: 429,
    h.TooManyDownloads: 429,
    h.TooManyStreams: 503,
    h.Internal: 500,
}
"""Status of each class of error; a class that is not here has that of the nearest above it."""

_HEADERS: Mapping[type[m.MicronetError], ExtraHeaders] = {
    h.TokenRequired: {"WWW-Authenticate": 'Bearer realm="micronet"'},
    h.ClientTooSlow: {"Connection": "close"},
}


def status_of(error: m.MicronetError) -> int:
    """The HTTP status of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def answer(error: m.MicronetError, path: str, headers: ExtraHeaders | None = None) -> Response:
    """The problem an error is, for a request to `path`; with the headers given, or those that such an error has."""
    faults = error.faults if isinstance(error, h.InvalidRequest) else ()
    problem = make_problem(status_of(error), (error.code, error.title, str(error)), path, faults)
    return problem_response(problem, headers or _headers(error))


def _headers(error: m.MicronetError) -> ExtraHeaders:
    match error:
        case h.RangeNotSatisfiable():
            return {"Content-Range": f"bytes */{error.size}"}
        case h.OffsetMismatch():
            return {OFFSET: str(error.offset)}
        case _:
            return _HEADERS.get(type(error), {})


def internal_error(path: str) -> Response:
    """The answer to a request that found a bug: nothing of it is shown."""
    return answer(h.Internal("this is a fault of the server, and it has been logged."), path)


def install_handlers(app: FastAPI) -> None:
    """Make every error of `app` a problem."""

    async def micronet_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, m.MicronetError)
        return answer(error, request.url.path)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(h.InvalidRequest([_fault(fault) for fault in error.errors()[:20]]), request.url.path)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return http_error(request, error)

    app.add_exception_handler(m.MicronetError, micronet_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def http_error(request: Request, error: HTTPException) -> Response:
    """The problem that an error of the framework is."""
    path = request.url.path
    if error.status_code == 405:
        allowed = _allowed_methods(request)
        return answer(h.MethodNotAllowed(f"{allowed} can be used here."), path, {"Allow": allowed})
    if error.status_code == 404:
        return no_such_address(path)
    what = (h.HttpError.code, h.HttpError.title, str(error.detail))
    return problem_response(make_problem(error.status_code, what, path))


def no_such_address(path: str) -> Response:
    """The answer where there is nothing."""
    return answer(h.NoSuchAddress("nothing is at this address; /openapi.json lists what there is."), path)


def _allowed_methods(request: Request) -> str:
    """Methods of every route of this path: starlette itself only tells those of the first."""
    methods: set[str] = set()
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes):
            methods.add(method)
    return ", ".join(sorted(methods))


def _fault(fault: Mapping[str, object]) -> Fault:
    place = fault["loc"]
    assert isinstance(place, tuple)
    return Fault(detail=f"{place[-1]}: {fault['msg']}"[:300], parameter=str(place[-1])[:200])
