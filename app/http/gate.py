"""What every request passes on its way in and out: names, strangers, headers, the log, and faults nobody foresaw."""

import ipaddress
import re
import secrets
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from app.http.access import COOKIE
from app.http.cookies import with_one_cookie
from app.http.error_answers import answer, internal_error
from app.http.errors import CrossSite, HttpError, UnknownHost
from app.http.measuring import Metrics
from app.http.origins import SAFE_METHODS, is_of_another_site

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SECURITY = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
"""Headers of every answer that does not set its own."""
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_CLIENT_GONE = 499  # as proxies log it; nobody reads the answer
_OF_PROXIES = re.compile(r"forwarded|via|x-real-ip|x-forwarded-.*")
"""Headers by which a proxy says that it passes on what somebody else asks."""
_THIS_MACHINE_ONLY = (
    "This server has no access tokens, so it answers to this machine only. Make a token first, and start it again: "
    "micronet token create TEAM."
)

log = structlog.get_logger()


class Gate:
    """ASGI middleware around the whole application. `open_access`: who can reach the server may use it."""

    def __init__(self, app: ASGIApp, metrics: Metrics, open_access: bool) -> None:
        self._app, self._metrics, self._open = app, metrics, open_access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["headers"] = with_one_cookie(scope["headers"], COOKIE.encode())
        passage = _Passage(scope, send)
        with bound_contextvars(request=passage.id):
            await self._serve(passage, scope, receive)

    async def _serve(self, passage: "_Passage", scope: Scope, receive: Receive) -> None:
        try:
            if self._open:
                check_local(scope["method"], Headers(scope=scope), scope["http_version"])
            await self._app(scope, receive, passage.send)
        except HttpError as error:
            await answer(error, scope["path"])(scope, receive, passage.send)
        except Exception:
            log.exception("fault", method=scope["method"], path=_shown(scope))
            if passage.status:
                raise  # the answer has begun: all that is left is to break it off
            await internal_error(scope["path"])(scope, receive, passage.send)
        finally:
            self._note(passage, scope)

    def _note(self, passage: "_Passage", scope: Scope) -> None:
        status = passage.status or _CLIENT_GONE
        seconds = passage.seconds
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.answered(method, route, status, seconds)
        log.info(
            "request",
            client=scope["client"][0] if scope.get("client") else None,
            team=scope.get("state", {}).get("team"),
            method=scope["method"],
            path=_shown(scope),
            status=status,
            milliseconds=round(1000 * seconds, 1),
        )


def _shown(scope: Scope) -> str:
    """The path as it was sent, percent signs and all: nothing in it can fool a terminal."""
    raw: bytes = scope["raw_path"]
    return raw[:200].decode("ascii", errors="backslashreplace")


class _Passage:
    """One answer on its way out."""

    def __init__(self, scope: Scope, send: Send) -> None:
        given = Headers(scope=scope).get("x-request-id", "")
        self.id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        self.status = 0
        self._send, self._began, self._answered = send, time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """From the request to the beginning of its answer."""
        return (self._answered or time.perf_counter()) - self._began

    async def send(self, message: Message) -> None:
        """Pass on, with our headers."""
        if message["type"] == "http.response.start":
            self.status, self._answered = message["status"], time.perf_counter()
            message = {**message, "headers": [*message["headers"], *self._headers(message["headers"])]}
        await self._send(message)

    def _headers(self, present: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name.lower() for name, _ in present}
        ours = [(name, value) for name, value in _ENCODED if name not in names]
        return [*ours, (b"x-request-id", self.id.encode())]


def check_local(method: str, headers: Mapping[str, str], http_version: str) -> None:
    """Raise unless a request to an open server was meant for it, and was not sent by a web page of somewhere else.

    Without the first, a page whose name was pointed at 127.0.0.1 could read everything (DNS rebinding), and whoever
    reaches a proxy of this machine: by the shortest recipes it asks for 127.0.0.1, whatever it was asked for. One that
    adds no header about that is known by HTTP/1.0, in which nginx before 1.29.7 asks by `proxy_pass` alone, and which
    browsers, curl and libraries left long ago. One that asks in HTTP/1.1 then cannot be told from a client here.
    """
    host = headers.get("host", "")
    if not _is_loopback(host):
        raise UnknownHost(f"{host[:80]!r}: this server has no access tokens, so it answers to localhost only.")
    proxied = next(filter(_OF_PROXIES.fullmatch, headers), None)
    if proxied is not None:
        raise UnknownHost(f"a proxy passed this on ({proxied[:80]!r}). {_THIS_MACHINE_ONLY}")
    if http_version == "1.0":
        raise UnknownHost(
            f"this came in HTTP/1.0, as nginx passes requests on; HTTP/1.1 is needed. {_THIS_MACHINE_ONLY}"
        )
    if method in SAFE_METHODS:
        return
    if is_of_another_site(headers):
        raise CrossSite("this server has no access tokens, so web pages of other sites may not send to it.")


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


_ENCODED = [(name.encode(), value.encode()) for name, value in _SECURITY.items()]
