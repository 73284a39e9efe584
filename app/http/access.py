"""Who asks."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.http.errors import CrossSite, TokenRequired
from app.http.origins import SAFE_METHODS, is_of_this_site
from app.http.site import Site, SiteDep
from app.http.tokens import looks_like_token


@dataclass(frozen=True, slots=True)
class Caller:
    """`owner`: whose jobs and files these are, '' on an open server. `team`: the token's, where there are tokens."""

    owner: str
    team: str | None


COOKIE = "micronet_token"
"""What a browser that has signed in sends in place of the header."""
_EVERYBODY = Caller("", None)


async def caller_of(request: Request, site: SiteDep) -> Caller:
    """The sender of a request. Raises TokenRequired, TooManyRequests."""
    caller = _EVERYBODY if site.open_access else await _team(request, site)
    await site.rates.count(caller.owner)
    return caller


async def is_known(request: Request, site: Site, caller: Caller) -> bool:
    """Whether the sender of a request would still be taken for `caller`: tokens are revoked."""
    return site.open_access or await site.tokens.team(_token_of(request)) == caller.team


async def _team(request: Request, site: Site) -> Caller:
    token = _token_of(request)
    if not looks_like_token(token):
        raise TokenRequired("send `Authorization: Bearer mn_...`; who runs the server makes tokens.")
    team = await site.tokens.team(token)
    if team is None:
        raise TokenRequired("this token is not valid, or not any more.")
    request.state.team = team
    return Caller(team, team)


def _token_of(request: Request) -> str:
    """That of the header, else of the cookie. Raises CrossSite: browsers send cookies whoever made the request."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token
    token = request.cookies.get(COOKIE, "")
    if token and request.method not in SAFE_METHODS and not is_of_this_site(request.headers):
        raise CrossSite("a browser that has signed in sends from this server's own pages only.")
    return token


CallerDep = Annotated[Caller, Depends(caller_of)]
