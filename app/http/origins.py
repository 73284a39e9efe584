"""Whose page sent a request: browsers say so, and no page can make them lie."""

from collections.abc import Mapping

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing, whoever asks."""


def is_of_another_site(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that a page of another site sent this. Clients that are no browsers say nothing."""
    return headers.get("sec-fetch-site") not in (None, "same-origin", "none") or headers.get("origin") not in (
        None,
        *_origins(headers),
    )


def is_of_this_site(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that one of our own pages sent this; what says nothing was not sent by one."""
    said = headers.get("sec-fetch-site") == "same-origin" or headers.get("origin") in _origins(headers)
    return said and not is_of_another_site(headers)


def _origins(headers: Mapping[str, str]) -> tuple[str, str]:
    host = headers.get("host", "")
    return f"http://{host}", f"https://{host}"
