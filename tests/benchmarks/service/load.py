"""GETs of one address at a fixed rate, whether or not the answers keep up. Prints one line of JSON.

    python -m tests.benchmarks.service.load PORT PATH RATE SECONDS TAGGED

A request waits for a free connection if it has to, and its time counts from when it was due: a server that stands still
is seen by every request of that time, not by one. TAGGED (yes, no): send If-None-Match with the last ETag that came.
It reads no more of an answer than its length, so that it takes little of the machine it measures on.
"""

import asyncio
import json
import math
import sys
import time
from collections import Counter, deque

_CONNECTIONS = 32
_PATIENCE_SECONDS = 30.0


class Load:
    """The whole load."""

    def __init__(self, port: int, path: str, tagged: bool) -> None:
        self._port, self._tagged = port, tagged
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode()
        self._tag = b""
        self._free: list[_Line] = []
        self._connecting: list[asyncio.Future[None]] = []
        self._due: deque[float] = deque()
        self._statuses: Counter[str] = Counter()
        self._seconds: list[float] = []

    async def run(self, rate: float, seconds: float) -> dict[str, object]:
        """Send, wait for the last answers, sum up."""
        for _ in range(_CONNECTIONS):
            await self._connect()
        cpu, began, count = time.process_time(), time.perf_counter(), round(rate * seconds)
        for index in range(count):
            due = began + index / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self._due.append(due)
            self._send()
        deadline = time.perf_counter() + _PATIENCE_SECONDS
        while sum(self._statuses.values()) < count and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
        return self._summary(count, time.perf_counter() - began, time.process_time() - cpu)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(lambda: _Line(self), "127.0.0.1", self._port)
        self._free.append(line)

    def closed(self, line: "_Line") -> None:
        """A connection that waited for so long that the server closed it: another takes its place."""
        if line in self._free:
            self._free.remove(line)
            self._connecting.append(asyncio.ensure_future(self._connect()))

    def answered(self, line: "_Line", status: str, tag: bytes) -> None:
        """One answer came, or its connection broke; a connection that stands is free again."""
        self._statuses[status] += 1
        self._seconds.append(time.perf_counter() - line.due)
        if status != "broken":
            self._tag = tag
            self._free.append(line)
            self._send()

    def _send(self) -> None:
        while self._due and self._free:
            tag = b"If-None-Match: " + self._tag + b"\r\n" if self._tagged and self._tag else b""
            self._free.pop().ask(self._due.popleft(), self._request + tag + b"\r\n")

    def _summary(self, count: int, seconds: float, cpu: float) -> dict[str, object]:
        times = sorted(self._seconds)
        return {
            "requests": count,
            "seconds": seconds,
            "statuses": dict(self._statuses),
            "errors": count - self._statuses["200"] - self._statuses["304"],
            "p50": times[math.ceil(0.5 * len(times)) - 1],
            "p99": times[math.ceil(0.99 * len(times)) - 1],
            "max": times[-1],
            "cpu_seconds": cpu,
        }


class _Line(asyncio.Protocol):
    """One connection that is kept."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._came = b""
        self._asked = False
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, due: float, request: bytes) -> None:
        """Send a request that was due then."""
        self.due, self._asked = due, True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if found and len(body) >= _length(head):
            self._came, self._asked = b"", False
            self._load.answered(self, head[9:12].decode(), _header(head, b"etag"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asked:
            self._asked = False
            self._load.answered(self, "broken", b"")
        else:
            self._load.closed(self)


def _header(head: bytes, name: bytes) -> bytes:
    after = head.partition(b"\r\n" + name + b": ")[2]
    return after.partition(b"\r\n")[0]


def _length(head: bytes) -> int:
    return int(_header(head, b"content-length") or 0)


if __name__ == "__main__":
    PORT, PATH, RATE, SECONDS, TAGGED = sys.argv[1:]
    load = Load(int(PORT), PATH, TAGGED == "yes")
    print(json.dumps(asyncio.run(load.run(float(RATE), float(SECONDS)))))
