"""Addresses below /ui where there is nothing: people get a page there too."""

from fastapi import APIRouter
from starlette.responses import Response

from app.http.errors import NoSuchAddress
from app.pages.routing import page_router


def nowhere_router() -> APIRouter:
    """The last of the routes: what no other one took."""
    router = page_router()
    router.add_api_route("/ui/{path:path}", _nothing, methods=["GET", "HEAD"], name="nowhere")
    return router


async def _nothing(path: str) -> Response:
    """Say so."""
    raise NoSuchAddress("nothing is at this address.")
