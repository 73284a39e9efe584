"""Who asks."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.http.errors import TokenRequired
from app.http.site import Site, SiteDep
from app.http.tokens import looks_like_token


@dataclass(frozen=True, slots=True)
class Caller:
    """`owner`: whose jobs and files these are, '' on an open server. `team`: the token's, where there are tokens."""

    owner: str
    team: str | None


_EVERYBODY = Caller("", None)


async def caller_of(request: Request, site: SiteDep) -> Caller:
    """The sender of a request. Raises TokenRequired, TooManyRequests."""
    caller = _EVERYBODY if site.open_access else await _team(request, site)
    await site.rates.count(caller.owner)
    return caller


async def _team(request: Request, site: Site) -> Caller:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not looks_like_token(token):
        raise TokenRequired("send `Authorization: Bearer mn_...`; who runs the server makes tokens.")
    team = await site.tokens.team(token)
    if team is None:
        raise TokenRequired("this token is not valid, or not any more.")
    return Caller(team, team)


CallerDep = Annotated[Caller, Depends(caller_of)]
