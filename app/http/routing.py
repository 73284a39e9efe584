"""Routes of the API: what can be read answers HEAD too, and what an address asks for is known, or refused."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from app.http.errors import InvalidRequest
from app.http.problems import Fault

_NAMED = 5


class ApiRoute(APIRoute):
    """A route of the contract.

    HEAD is GET without the body, which the server leaves out (RFC 9110, 9.3.2), and needs no line in the OpenAPI
    document. A query parameter that a route with parameters does not have is refused: a filter that is spelt wrong
    would be answered with what nobody asked for.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether, and how well, the route fits a request."""
        match, child = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL and self._is_head(scope) else match), child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if self._is_head(scope):
            await self.app(scope, receive, send)
        else:
            await super().handle(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, behind a look at the query. Raises InvalidRequest."""
        handle = super().get_route_handler()
        known = [field.alias for field in self.dependant.query_params]
        if not known:
            return handle

        async def handler(request: Request) -> Response:
            check_known(request, known)
            return await handle(request)

        return handler

    def _is_head(self, scope: Scope) -> bool:
        return scope["method"] == "HEAD" and "GET" in (self.methods or ())


def api_router(tag: str, prefix: str = "") -> APIRouter:
    """A router of the API, its routes under this tag in the document."""
    return APIRouter(tags=[tag], prefix=prefix, route_class=ApiRoute)


def check_known(request: Request, known: list[str]) -> None:
    """Raise InvalidRequest for query parameters that are none of the known."""
    unknown = [name for name in dict.fromkeys(request.query_params) if name not in known][:_NAMED]
    if unknown:
        there = f"there are {', '.join(known)}."
        raise InvalidRequest([Fault(detail=f"no such parameter; {there}", parameter=name[:200]) for name in unknown])
