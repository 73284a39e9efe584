"""Whose page sent a request: browsers say so, and no page can make them lie."""

from collections.abc import Mapping

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing, whoever asks."""


def is_of_another_site(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that a page of another site sent this. Clients that are no browsers say nothing.

    Where it says which site that was, in relation to this one, that decides: it also holds behind a proxy that gives
    this server another name. Over plain HTTP browsers say the page's origin only.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and origin not in _origins(headers)


def is_of_this_site(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that one of our own pages sent this; what says nothing was not sent by one."""
    site = headers.get("sec-fetch-site")
    return headers.get("origin") in _origins(headers) if site is None else site == "same-origin"


def _origins(headers: Mapping[str, str]) -> tuple[str, str]:
    host = headers.get("host", "")
    return f"http://{host}", f"https://{host}"
