"""Signing in with a team's token: browsers send it in a cookie that no script can read."""

from typing import Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.http.access import COOKIE
from app.http.body import body_chunks
from app.http.errors import CrossSite
from app.http.origins import is_of_another_site
from app.http.site import SiteDep
from app.http.tokens import looks_like_token
from app.pages.rendering import render
from app.pages.routing import SIGN_IN, local, page_router, see_other

SIGN_OUT = "/ui/sign-out"
_FORM_BYTES = 16 << 10
_SECONDS: Final = 30 * 24 * 3600


def sign_in_router() -> APIRouter:
    """The form for a token, and the way out."""
    router = page_router()
    router.add_api_route(SIGN_IN, _ask, methods=["GET", "HEAD"], name="sign_in_page")
    router.add_api_route(SIGN_IN, _sign_in, methods=["POST"], name="sign_in")
    router.add_api_route(SIGN_OUT, _sign_out, methods=["POST"], name="sign_out")
    return router


async def _ask(request: Request) -> Response:
    """The form."""
    return render(request, "sign_in.html", next=local(request.query_params.get("next", "")), fault=None)


async def _sign_in(request: Request, site: SiteDep) -> Response:
    """Take a token, if it is one, and go where the visitor wanted to."""
    _check_own(request)
    body = b"".join([chunk async for chunk in body_chunks(request, _FORM_BYTES, site.services.settings.idle_seconds)])
    given = parse_qs(body.decode("utf-8", errors="replace"))
    token, following = given.get("token", [""])[0].strip(), local(given.get("next", [""])[0])
    if not looks_like_token(token) or await site.tokens.team(token) is None:
        fault = "This is not a valid token, or not any more. Tokens begin with mn_; who runs the server makes them."
        return render(request, "sign_in.html", 422, next=following, fault=fault)
    answer = see_other(following)
    answer.set_cookie(COOKIE, token, _SECONDS, httponly=True, samesite="lax", secure=_is_encrypted(request))
    return answer


async def _sign_out(request: Request) -> Response:
    """Forget the token."""
    _check_own(request)
    answer = see_other("/")
    answer.delete_cookie(COOKIE)
    return answer


def _check_own(request: Request) -> None:
    if is_of_another_site(request.headers):
        raise CrossSite("signing in and out is for this server's own pages.")


def _is_encrypted(request: Request) -> bool:
    """Whether the browser speaks HTTPS: with us, or by its own word with a proxy that this server was not told of."""
    return request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://")
