"""What passes between supervisor and spare: packets of JSON over a socket. Both ends are ours and trust each other."""

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from worker.limits import JobLimits

_PACKET_BYTES = 64 * 1024

SETTINGS = "in/settings.json"
"""Where in its scratch directory a job finds its settings: JSON text of any size, parsed in the job's process only."""
CHECKPOINT = "in/checkpoint"
FILES = "in"
"""Other files, each called by its SHA-256."""
JOURNAL = "journal"
RESULT = "out/result.json"

DEVICE_CHECK = "device check"
"""In place of a kind of job: an order that only uses its device."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the spare is told of a job."""

    kind: str
    device: str
    nice: int
    scratch: Path
    data_dir: Path | None
    limits: JobLimits

    def encode(self) -> Mapping[str, Any]:
        """Values that JSON knows."""
        paths = {"scratch": str(self.scratch), "data_dir": None if self.data_dir is None else str(self.data_dir)}
        return {**asdict(self), **paths}

    @classmethod
    def decode(cls, packet: Mapping[str, Any]) -> "Order":
        """The order that `encode` made `packet` of."""
        data_dir = packet["data_dir"]
        return cls(
            kind=packet["kind"],
            device=packet["device"],
            nice=packet["nice"],
            scratch=Path(packet["scratch"]),
            data_dir=None if data_dir is None else Path(data_dir),
            limits=JobLimits(**packet["limits"]),
        )


def channel() -> tuple[socket.socket, socket.socket]:
    """Two ends of a socket that keeps packets apart. Each sees the end of file when the other's process is gone."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, packet: Mapping[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    """Send a packet, and file descriptors with it. Raises OSError when the other end is gone."""
    socket.send_fds(end, [json.dumps(packet).encode()], descriptors)


def receive(end: socket.socket) -> tuple[Mapping[str, Any], list[int]] | None:
    """The next packet and its descriptors; None when the other end is gone. Raises OSError, as the socket is set."""
    try:
        data, descriptors, _, _ = socket.recv_fds(end, _PACKET_BYTES, 2)
    except ConnectionError:
        return None
    return (json.loads(data), descriptors) if data else None
