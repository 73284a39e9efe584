"""What is on its way to a client, and whether any of it is taken."""

import asyncio
import fcntl
import struct
import termios
from typing import Any


class Outgoing:
    """A transport that can tell when nobody takes what was written to it. All else it does is the transport's own."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._written = 0
        self._seen: int | None = None  # what had been taken at the last look, when more was waiting

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """More to take."""
        self._written += len(data)
        self._transport.write(data)

    def stands_still(self) -> bool:
        """Whether something waits that waited at the last look too, and no byte was taken since."""
        waiting = self._transport.get_write_buffer_size()
        if not waiting:
            self._seen = None
            return False
        before, self._seen = self._seen, self._written - waiting - self._in_flight()
        return self._seen == before

    def _in_flight(self) -> int:
        """Bytes this machine has let go, and the other has not confirmed; 0 on systems that do not say.

        Without them a slow reader would seem to take nothing while he empties a buffer of the system, of megabytes.
        """
        try:
            answer = fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        except OSError:
            return 0
        return int(struct.unpack("i", answer)[0])
