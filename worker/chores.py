"""Runs a housekeeping function at intervals; errors are logged and it is tried again next time."""

import threading
from collections.abc import Callable

import structlog

from worker.errors import ServiceError

log = structlog.get_logger()


def now_and_then(act: Callable[[], object], seconds: float, stopping: threading.Event) -> None:
    """Call `act` at once, and again `seconds` after it returned, until `stopping` is set. Raises nothing."""
    while True:
        try:
            act()
        except (ServiceError, OSError) as error:
            log.warning("housekeeping put off", reason=str(error))
        except Exception:
            log.exception("housekeeping put off")
        if stopping.wait(seconds):
            return
