"""The API sweeps what its processes left on its host: no worker elsewhere can."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from app.services import Services
from worker.chores import now_and_then
from worker.sweeping import sweep_uploads


@contextmanager
def sweeping(services: Services) -> Iterator[None]:
    """While inside, a thread sweeps uploads that died, now and then."""
    stopping = threading.Event()
    sweep = partial(sweep_uploads, services.settings, services.blobs)
    every = services.settings.sweep_seconds
    threading.Thread(target=now_and_then, args=(sweep, every, stopping), name="sweeper", daemon=True).start()
    try:
        yield
    finally:
        stopping.set()
