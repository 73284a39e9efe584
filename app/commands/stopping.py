"""SIGTERM as Ctrl-C is: an exception, so that a command can put away what it has begun, and say so."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Terminated(BaseException):
    """SIGTERM came. As KeyboardInterrupt, it is nobody's on the way."""


STOPS = (KeyboardInterrupt, Terminated)


@contextmanager
def terminable() -> Iterator[None]:
    """Where SIGTERM comes meanwhile, it raises Terminated: once, so that what follows is not cut short by another."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def signal_of(error: BaseException) -> int:
    """The number of the signal that one of STOPS is."""
    return signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT
