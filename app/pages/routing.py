"""Routes of pages: outside the OpenAPI document, and what goes wrong is a page too."""

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.http.error_answers import status_of
from app.http.errors import TokenRequired
from app.pages.rendering import render
from app.pages.words import for_people
from micronet.errors import MicronetError

SIGN_IN = "/ui/sign-in"
SEE_OTHER = 303
"""After a POST: the answer is at another address, to be fetched with GET."""


class PageRoute(APIRoute):
    """Shows errors as pages; who has no token is asked for one, and comes back."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with its errors shown."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await handle(request)
            except TokenRequired as error:
                return _sign_in(request, error)
            except MicronetError as error:
                return error_page(request, error)
            except RequestValidationError as error:
                faults = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors()[:5])
                return render(request, "error.html", 422, title="This address is not valid", detail=faults, code=None)

        return handler


def page_router() -> APIRouter:
    """A router for pages."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


def error_page(request: Request, error: MicronetError) -> Response:
    """What went wrong, with the status the HTTP API would give it."""
    return render(
        request, "error.html", status_of(error), title=error.title, detail=for_people(str(error)), code=error.code
    )


def see_other(address: str) -> RedirectResponse:
    """Go and look there."""
    return RedirectResponse(address, SEE_OTHER)


def local(address: str) -> str:
    """An address of this server, and never one of another: //host, and what browsers make of a backslash."""
    plain = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if plain else "/"


def sign_in_address(following: str) -> str:
    """Where a token is asked for; then it goes on to `following`."""
    return f"{SIGN_IN}?next={quote(local(following), safe='')}"


def _sign_in(request: Request, error: TokenRequired) -> Response:
    if request.method not in ("GET", "HEAD"):  # what was sent is in the page it was sent from, and nowhere else
        address = sign_in_address(_path_of(request.headers.get("referer", "")))
        return render(request, "signed_out.html", status_of(error), title=error.title, address=address)
    query = f"?{request.url.query}" if request.url.query else ""
    if "hx-request" in request.headers:  # a part of a page that looks again: it is the page that has to come back
        page = _path_of(request.headers.get("hx-current-url", ""))
        return Response(status_code=204, headers={"HX-Redirect": sign_in_address(page)})
    return see_other(sign_in_address(request.url.path + query))


def _path_of(address: str) -> str:
    """What a browser says of the page it is on, without the name of a server; "/" where that is no address."""
    try:
        page = urlsplit(address)
    except ValueError:
        return "/"
    return page.path + (f"?{page.query}" if page.query else "")
