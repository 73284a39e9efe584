"""Directories as URLs, whatever their names have in them."""

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from micronet.errors import SettingsError


def directory_of(url: str) -> Path | None:
    """The directory that a path or a file:// URL names; None for any other URL. Raises SettingsError for half a path.

    In a URL `#`, `?` and `%` are written %23, %3F and %25 (`Path.as_uri` does that); in a plain path they stand for
    themselves.
    """
    if "://" not in url:
        return Path(url)
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    if "?" in url or "#" in url:
        raise SettingsError(f"{url}: a path with # or ? in it; write these %23 and %3F in a URL, or give the bare path")
    return Path(url2pathname(parts.path))
