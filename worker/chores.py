"""What is done again and again. Whatever fails may go better the next time, and a house nobody keeps fills up."""

import threading
from collections.abc import Callable

import structlog

from worker.errors import ServiceError

log = structlog.get_logger()


def now_and_then(act: Callable[[], object], seconds: float, stopping: threading.Event) -> None:
    """`act`, at once and whenever `seconds` have passed since, until `stopping`. Raises nothing."""
    while True:
        try:
            act()
        except (ServiceError, OSError) as error:
            log.warning("housekeeping put off", reason=str(error))
        except Exception:
            log.exception("housekeeping put off")
        if stopping.wait(seconds):
            return
