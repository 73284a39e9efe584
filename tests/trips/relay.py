"""A wire between a client and a server: counts what the client sends, and can hold it back."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Relay:
    """Passes on every connection to `target`, a port of this host. Where that refuses, or breaks off, so does this."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._hold_at: int | None = None
        self._released = threading.Event()
        self.sent = 0
        self.holds = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._listening.close()

    def hold_at(self, sent: int) -> None:
        """Pass on nothing more when the client has sent so many bytes in all; `holds` is set then."""
        self._hold_at = sent

    def release(self) -> None:
        """Go on."""
        self._hold_at = None
        self._released.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if counted:
                    self._count(len(data))
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, size: int) -> None:
        with self._lock:
            self.sent += size
            holding = self._hold_at is not None and self.sent >= self._hold_at
        if holding:
            self.holds.set()
            self._released.wait()
