"""HTTP by hand: what polite clients refuse to send, and every answer read as it came."""

import contextlib
import io
import json
import select
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any

from tests.trips.deployment import Deployment

BOUNDARY = b"b"
FORM = b"Content-Type: multipart/form-data; boundary=b"


@dataclass(frozen=True)
class Reply:
    """An answer. `status` 0: the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        """Code of the problem it is; None for other answers."""
        if self.headers.get("content-type") != "application/problem+json":
            return None
        problem: dict[str, Any] = json.loads(self.body)
        assert problem["status"] == self.status
        return str(problem["code"])


class _Incoming(io.BufferedReader):
    """Stays open when an answer has been read."""

    def close(self) -> None:
        pass


class Wire:
    """A connection to a server. No answer may ever be its fault: each is checked."""

    def __init__(self, deployment: Deployment, timeout: float = 30) -> None:
        self.socket = socket.create_connection(("127.0.0.1", deployment.port), timeout=timeout)
        self._incoming = _Incoming(socket.SocketIO(self.socket, "r"))
        self.host = f"Host: 127.0.0.1:{deployment.port}".encode()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> bool:
        """Send it all; False where the server had enough."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def head(self, request: bytes, *headers: bytes) -> bytes:
        """The head of a request, for this server."""
        return b"\r\n".join([request + b" HTTP/1.1", self.host, *headers, b"", b""])

    def reply(self, method: str = "GET") -> Reply:
        """The next answer; of a HEAD request it has no body."""
        response = HTTPResponse(self, method=method)  # type: ignore[arg-type]  # all it asks of a socket is makefile
        try:
            response.begin()
            body = response.read()
        except (HTTPException, ConnectionError):
            return Reply(0, {}, b"")
        reply = Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
        assert reply.status != 500, body
        assert reply.status < 400 or reply.code, f"{reply.status} is no problem: {body[:200]!r}"
        return reply

    def makefile(self, _mode: str) -> "_Incoming":
        """One buffer for all answers of this connection."""
        return self._incoming

    def closed(self) -> bool:
        """Whether the server has closed, or closes before the timeout."""
        try:
            return not self._incoming.read(1)
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def silent(self) -> bool:
        """Whether nothing has come yet."""
        return not select.select([self.socket], [], [], 0)[0]


def ask(deployment: Deployment, request: bytes, *headers: bytes, body: bytes = b"") -> Reply:
    """One request on a connection of its own; Content-Length is added for a body, unless there are headers for it."""
    given = b"\n".join(headers).lower()
    if body and b"content-length" not in given and b"transfer-encoding" not in given:
        headers = (*headers, f"Content-Length: {len(body)}".encode())
    with Wire(deployment) as wire:
        wire.send(wire.head(request, *headers) + body)
        return wire.reply(request.split(b" ")[0].decode("latin-1"))


def post(deployment: Deployment, body: bytes, *headers: bytes, kind: bytes = b"score") -> Reply:
    """A form to a kind of job."""
    return ask(deployment, b"POST /" + kind, *(headers or (FORM,)), body=body)


def part(name: bytes, content: bytes, filename: bytes | None = None) -> bytes:
    """A field of a form; its name and file name go in as they are."""
    label = b'name="' + name + b'"' + (b"" if filename is None else b'; filename="' + filename + b'"')
    return b"--b\r\nContent-Disposition: form-data; " + label + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + b"--b--\r\n"


def chunked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A body in chunks, its end included."""
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


@contextlib.contextmanager
def many(deployment: Deployment, count: int, begin: Callable[[Wire], None]) -> Iterator[list[Wire]]:
    """Many connections at once, each begun."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(deployment)) for _ in range(count)]
        for wire in wires:
            begin(wire)
        yield wires
