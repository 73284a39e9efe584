"""The page of the guide, and the addresses that problems name as their type."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.http.access import caller_of
from app.http.errors import NoSuchAddress, TokenRequired
from app.http.site import Site, SiteDep
from app.pages.guide.body import guide_body
from app.pages.guide.errors import anchor_of, error_codes
from app.pages.rendering import render
from app.pages.routing import page_router, see_other
from micronet.tracks import BUILT_IN, tracks

GUIDE = "/guide"


def guide_router() -> APIRouter:
    """The guide, and the way to each error in it."""
    router = page_router()
    router.add_api_route(GUIDE, _page, methods=["GET", "HEAD"], name="guide_page")
    router.add_api_route("/problems/{code}", _problem, methods=["GET", "HEAD"], name="problem_page")
    return router


async def _page(request: Request, site: SiteDep) -> Response:
    """Everything there is to know; without a token all but this server's own tracks: it says what tokens are."""
    known = await _is_known(request, site)
    own = await site.files.run(tracks, site.services.settings.data) if known else BUILT_IN
    upload_bytes = site.services.settings.upload_bytes
    body = await site.files.run(guide_body, tuple(own.values()), known, upload_bytes)
    return render(request, "guide.html", body=body)


async def _is_known(request: Request, site: Site) -> bool:
    try:
        await caller_of(request, site)
    except TokenRequired:
        return False
    return True


async def _problem(code: str) -> Response:
    """What `code` means."""
    if code not in error_codes():
        raise NoSuchAddress(f"no error has the code {code[:80]!r}; the guide lists those there are.")
    return see_other(f"{GUIDE}#{anchor_of(code)}")
