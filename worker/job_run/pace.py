"""How fast a stage of a job is, in units a second."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Report:
    at: float
    done: int
    unit: str


class Pace:
    """Of one stage, from its reports, by the monotonic clock of this very process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: _Report | None = None
        self._last: _Report | None = None

    def rate(self, done: int, unit: str) -> float | None:
        """Units a second since the stage's first report, now that `done` are done; None where this is the first.

        A stage that counts something else from now on, or the same from the beginning, has a new first report.
        """
        report = _Report(self._clock(), done, unit)
        first, last, self._last = self._first, self._last, report
        if first is None or last is None or unit != last.unit or done < last.done:
            self._first = report
            return None
        seconds = report.at - first.at
        return (done - first.done) / seconds if seconds > 0 else None
