"""A directory as message broker: kombu's filesystem transport, made safe against being killed while it writes.

kombu opens a message's file before it writes it: a reader that comes between, or a writer that is killed there, leaves
half a message, which stops every consumer that finds it. Here a message has no name until it is whole, and one that
cannot be read is dropped: it was only a bell.
"""

import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

log = structlog.get_logger()

SCHEME = "micronet-directory"
_UNFINISHED_SECONDS = 60.0


class Channel(filesystem.Channel):  # type: ignore[misc]  # kombu is not typed
    """One file per message, in the order in which they were sent."""

    def _put(self, queue: str, payload: object, **_: object) -> None:
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}.{queue}.msg"
        unfinished = folder / f".{name}"
        unfinished.write_text(dumps(payload))
        os.replace(unfinished, folder / name)

    def _get(self, queue: str) -> Any:
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.startswith(".") or not name.endswith(f".{queue}.msg"):
                continue
            try:
                content = (folder / name).read_bytes()
                (folder / name).unlink()
            except FileNotFoundError:  # another worker was faster
                continue
            try:
                return loads(content)
            except ValueError:
                log.warning("unreadable bell dropped", file=name)
        raise Empty

    def _size(self, queue: str) -> int:
        return sum(name.endswith(f".{queue}.msg") for name in os.listdir(self.data_folder_in))


class Transport(filesystem.Transport):  # type: ignore[misc]
    """The transport of that channel."""

    Channel = Channel


def register(folder: Path) -> None:
    """Make the transport known to kombu, and `folder` ready; what killed writers left there goes."""
    TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"
    folder.mkdir(parents=True, exist_ok=True)
    for unfinished in folder.glob(".*.msg"):
        try:
            if time.time() - unfinished.stat().st_mtime > _UNFINISHED_SECONDS:
                unfinished.unlink()
        except FileNotFoundError:
            continue
