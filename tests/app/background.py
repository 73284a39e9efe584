"""What goes on beside a test, in a thread of its own, until the test is done with it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(work: Callable[[], object], seconds: float) -> Iterator[None]:
    """Within, `work` is done again and again, so many seconds apart."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(seconds):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
