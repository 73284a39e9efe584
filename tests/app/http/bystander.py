"""Another client, who asks all the time and keeps a record of how he was served."""

import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

PATIENCE = 2.0
"""Seconds that this process, the server in it, may compute until an answer, while hostile clients are at work.

That is no time of a clock: on a machine that computes other things meanwhile an answer takes as long as it takes.
"""
LONGEST = 20.0
"""Seconds of a clock: a server that waits for something computes nothing."""


@dataclass(frozen=True)
class Asked:
    """One request of his, while something else was going on `beside` it. `status` 0: no answer."""

    path: str
    beside: str
    status: int
    computed: float
    seconds: float

    @property
    def well(self) -> bool:
        """Whether it was served, in time."""
        return self.status == 200 and self.computed < PATIENCE and self.seconds < LONGEST


class Bystander(threading.Thread):
    """Asks GET /health/live and GET /jobs until `stop`, each on a connection of its own. `beside`: what goes on now."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._host, self._stopping = urlsplit(url).netloc, threading.Event()
        self.beside = "nothing"
        self.asked: list[Asked] = []

    def run(self) -> None:
        while not self._stopping.wait(0.05):
            for path in ("/health/live", "/jobs?limit=1"):
                self.asked.append(self._ask(path))

    def stop(self) -> None:
        """He must have been served well, every time."""
        self._stopping.set()
        self.join(60)
        assert not self.is_alive()
        assert self.asked
        assert not [asked for asked in self.asked if not asked.well]

    def _ask(self, path: str) -> Asked:
        connection = HTTPConnection(self._host, timeout=30)
        beside, began, computed = self.beside, time.monotonic(), time.process_time()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, HTTPException):
            status = 0
        finally:
            connection.close()
        return Asked(path, beside, status, time.process_time() - computed, time.monotonic() - began)
