"""Addresses of servers, as people give them: a password in one is for the server, and for nobody else to read."""

import re

import httpx

from app.client.errors import Unsendable

_ACCESS = re.compile(r"^([a-z]+://)?.*@", re.DOTALL | re.IGNORECASE)
"""All that could be a user's name and password, in what may be no address at all."""


def server_address(text: str) -> httpx.URL:
    """The address of a server. Raises Unsendable, which tells none of what stands before an `@`."""
    shown = _ACCESS.sub(r"\1", text)
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise Unsendable(f"{shown!r}: {_fault(shown)}") from None  # the error may hold a piece of the password
    if url.scheme not in ("http", "https") or not url.host:
        raise Unsendable(f"{shown!r}: an address of a server begins with http:// or https:// and its name.")
    return url


def without_password(url: httpx.URL) -> str:
    """An address as anybody may read it."""
    return str(url.copy_with(userinfo=b""))


def _fault(shown: str) -> str:
    try:
        httpx.URL(shown)
    except httpx.InvalidURL as error:
        return str(error)
    return "the name or password before the @ has a character that an address cannot have; a / is written %2F."
