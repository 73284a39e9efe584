"""Which cookies of a request are read: one, and only where it is plain."""

import re
from collections.abc import Iterable

_PLAIN = re.compile(rb"[A-Za-z0-9_-]{1,200}")


def with_one_cookie(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a request, with no cookie left but the first plain one called `name`: of letters, digits, - and _.

    FastAPI reads the cookies of every request. What the standard library does about quoted ones takes, before Python
    3.11.10, a time that grows with the square of their length.
    """
    rest = [(header, value) for header, value in headers if header != b"cookie"]
    for header, value in headers:
        if header == b"cookie" and (found := _value(value, name)) is not None:
            return [*rest, (b"cookie", name + b"=" + found)]
    return rest


def _value(cookies: bytes, name: bytes) -> bytes | None:
    for pair in cookies.split(b";"):
        found, _, value = pair.partition(b"=")
        if found.strip() == name and _PLAIN.fullmatch(value.strip()):
            return value.strip()
    return None
