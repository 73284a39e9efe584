"""A network that breaks as a script says, between a client and a server that works."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from app.client import Client, client, connection


@dataclass(frozen=True)
class Cut:
    """The connection breaks after so many bytes of a request's body."""

    after: int


class Lost:
    """The request arrives, its answer does not."""


class Refused:
    """Nobody listens."""


Fault = Cut | Lost | Refused | int | None
"""What happens to one request: a status in place of the server's answer, or nothing."""


@dataclass
class Network(httpx.BaseTransport):
    """Passes requests on, except those the script has a fault for; counts what was sent."""

    script: Iterator[Fault] = field(default_factory=lambda: iter(()))
    beyond: httpx.BaseTransport = field(default_factory=httpx.HTTPTransport)
    sent: int = 0
    requests: list[httpx.Request] = field(default_factory=list)
    answers: list[httpx.Response] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        fault = next(self.script, None)
        if isinstance(fault, Refused):
            raise httpx.ConnectError("nobody listens", request=request)
        if isinstance(fault, int):
            return httpx.Response(fault, headers={"Retry-After": "7"}, request=request)
        request.stream = _Counted(request.stream, self, fault.after if isinstance(fault, Cut) else None)
        answer = self.beyond.handle_request(request)
        self.answers.append(answer)
        if isinstance(fault, Lost):
            answer.close()
            raise httpx.ReadError("the connection broke", request=request)
        return answer

    def close(self) -> None:
        self.beyond.close()


class _Counted(httpx.SyncByteStream):
    def __init__(self, stream: Any, network: Network, end: int | None) -> None:
        self._stream, self._network, self._end = stream, network, end

    def __iter__(self) -> Iterator[bytes]:
        passed = 0
        for chunk in self._stream:
            rest = chunk if self._end is None else chunk[: self._end - passed]
            passed += len(rest)
            self._network.sent += len(rest)
            yield rest
            if self._end is not None and passed >= self._end:
                raise httpx.WriteError("the connection broke")


def connected(
    patch: pytest.MonkeyPatch,
    network: httpx.BaseTransport,
    url: str = "http://server",
    patience: float = 30,
    token: str | None = None,
) -> Client:
    """A client whose every request goes through this network."""
    real = httpx.Client
    with patch.context() as only_now:
        only_now.setattr(httpx, "Client", lambda **options: real(**options | {"transport": network}))
        return Client(url, token, patience=patience)


def answering(patch: pytest.MonkeyPatch, answers: Iterable[httpx.Response], patience: float = 30) -> Client:
    """A client of a server that gives these answers."""
    given = iter(answers)
    return connected(patch, httpx.MockTransport(lambda _: next(given)), patience=patience)


def a_job(**changes: Any) -> dict[str, Any]:
    """A job that waits, as a server tells it, but for these changes."""
    nothing = ("stage", "progress", "started_at", "finished_at", "checkpoint", "team", "name", "result", "error")
    told = {"id": "1", "kind": "score", "status": "queued", "queue_position": 1, "attempt": 0, "created_at": "now"}
    lists = {"settings": {}, "artifacts": [], "urls": {"page": "/ui/jobs/1"}}
    return {**dict.fromkeys(nothing), **told, **lists, **changes}


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Pauses of a client that are too short to notice."""
    patch.setattr(connection, "_FIRST_PAUSE", 0.005)
    patch.setattr(connection, "_LONGEST_PAUSE", 0.02)
    patch.setattr(connection, "_LONGEST_ASKED", 0.02)
    patch.setattr(client, "_LONGEST_LOOK", 0.01)
