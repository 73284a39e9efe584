"""The route of style, scripts and pictures."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.http.error_answers import no_such_address
from app.pages.assets import ASSETS, assets
from app.pages.routing import page_router

_FOR_GOOD = "public, max-age=31536000, immutable"


def files_of_pages_router() -> APIRouter:
    """Routes below /ui/assets."""
    router = page_router()
    router.add_api_route(f"{ASSETS}/{{name}}", _read, methods=["GET", "HEAD"], name="read_asset")
    return router


async def _read(request: Request, name: str) -> Response:
    """A file; kept by browsers for good if they asked for this very version."""
    asset = assets().get(name)
    if asset is None:
        return no_such_address(request.url.path)
    keep = _FOR_GOOD if request.query_params.get("v") == asset.version else "no-cache"
    headers = {"Cache-Control": keep, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.media_type)
    return Response(asset.content, headers=headers, media_type=asset.media_type)
