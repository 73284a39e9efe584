"""Another client, who asks all the time and keeps a record of how he was served."""

import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from tests.trips.deployment import Deployment

PATIENCE = 2.0
"""Seconds an answer may take while hostile clients are at work, on a machine that computes all the while."""


@dataclass(frozen=True)
class Asked:
    """One request of his. `status` 0: no answer."""

    path: str
    status: int
    seconds: float

    @property
    def well(self) -> bool:
        """Whether it was served, in time."""
        return self.status == 200 and self.seconds < PATIENCE


class Bystander(threading.Thread):
    """Asks GET /health/live and GET /jobs until `stop`."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(daemon=True)
        self._port = deployment.port
        self._stopping = threading.Event()
        self.asked: list[Asked] = []

    def run(self) -> None:
        while not self._stopping.wait(0.05):
            for path in ("/health/live", "/jobs"):
                self.asked.append(self._ask(path))

    def stop(self) -> None:
        """He must have been served well, every time."""
        self._stopping.set()
        self.join(60)
        assert not self.is_alive()
        assert self.asked
        assert not [asked for asked in self.asked if not asked.well]

    def _ask(self, path: str) -> Asked:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        began = time.monotonic()
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, HTTPException):
            status = 0
        finally:
            connection.close()
        return Asked(path, status, time.monotonic() - began)
