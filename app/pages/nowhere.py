"""Addresses where there is nothing: people get a page there too."""

from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.http.error_answers import http_error
from app.http.errors import NoSuchAddress
from app.pages.routing import error_page, page_router

_NOTHING = "nothing is at this address."


def nowhere_router() -> APIRouter:
    """The last of the routes: what no other one took."""
    router = page_router()
    router.add_api_route("/ui/{path:path}", _nothing, methods=["GET", "HEAD"], name="nowhere")
    return router


async def _nothing(path: str) -> Response:
    """Say so."""
    raise NoSuchAddress(_NOTHING)


def install_nowhere(app: FastAPI) -> None:
    """Answer browsers with a page at addresses that no route has, and everybody else as before."""

    async def shown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 404 and "text/html" in request.headers.get("accept", ""):
            return error_page(request, NoSuchAddress(_NOTHING))
        return http_error(request, error)

    app.add_exception_handler(HTTPException, shown)
