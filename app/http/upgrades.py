"""Requests that would rather go on in another protocol: read as if they had not asked (RFC 9110, 7.8)."""

from typing import Any, Protocol

from httptools import HttpParserUpgrade, HttpRequestParser


class Asking(Protocol):
    """Who hears of the address and headers of a request."""

    url: bytes
    headers: list[tuple[bytes, bytes]]


class Parser:
    """httptools' parser, which takes a request with `Upgrade` for one without a body and gives up at its end.

    So that is when another one begins, with the same head less that header. Who hears of it hears of this head twice;
    `should_upgrade` holds the first time, at the end of head and request, when there is nothing to do.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._parser = _parser(asking)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> None:
        """Read some more. Raises HttpParserError."""
        rest = memoryview(data)
        while rest:
            try:
                self._parser.feed_data(rest)
                return
            except HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
                head = self._head()
                self._parser = _parser(self._asking)
                self._parser.feed_data(head)

    def _head(self) -> bytes:
        lines = [
            b"%s %s HTTP/%s" % (self._parser.get_method(), self._asking.url, self._parser.get_http_version().encode()),
            *(b"%s: %s" % header for header in self._asking.headers if header[0] != b"upgrade"),
        ]
        return b"\r\n".join([*lines, b"", b""])


def _parser(asking: Asking) -> HttpRequestParser:
    parser = HttpRequestParser(asking)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
    return parser
