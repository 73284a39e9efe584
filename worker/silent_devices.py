"""Devices that a job could not use: until they answer again, their slots do what needs none."""

import time
from collections.abc import Callable

import structlog

from micronet.jobs import JOBS
from worker.errors import DeviceUnavailable, RunnerUnavailable
from worker.slots import Slot

log = structlog.get_logger()

WITHOUT_DEVICE = tuple(kind for kind, job in JOBS.items() if not job.needs_device)
"""Kinds of job for a slot whose device does not answer."""

_REST_SECONDS = 30.0  # before a device is asked again: longer than others take to find the job that was given back


class SilentDevices:
    """Which devices do not answer, and when each is asked again. Safe to use from several threads.

    `ask` raises DeviceUnavailable unless a process of the slot's can use its device; RunnerUnavailable and OSError
    where that cannot be found out.
    """

    def __init__(self, ask: Callable[[Slot], None]) -> None:
        self._ask = ask
        self._rest_until: dict[str, float] = {}

    def __contains__(self, device: str) -> bool:
        return device in self._rest_until

    def add(self, device: str) -> None:
        """It did not answer; it is left alone for a while."""
        log.warning("device rests", device=device, seconds=_REST_SECONDS)
        self._rest_until[device] = time.monotonic() + _REST_SECONDS

    def kinds(self, slot: Slot) -> tuple[str, ...] | None:
        """What the slot can do: None for everything. A device that has rested long enough is asked first."""
        rest_until = self._rest_until.get(slot.device)
        if rest_until is not None and time.monotonic() >= rest_until:
            self._ask_again(slot)
        return self.known_kinds(slot)

    def known_kinds(self, slot: Slot) -> tuple[str, ...] | None:
        """As `kinds`, and nothing is asked."""
        return WITHOUT_DEVICE if slot.device in self else None

    def _ask_again(self, slot: Slot) -> None:
        try:
            self._ask(slot)
        except (DeviceUnavailable, RunnerUnavailable, OSError) as error:
            log.warning("device does not answer", device=slot.device, reason=str(error))
            self.add(slot.device)
        else:
            log.info("device answers again", device=slot.device)
            self._rest_until.pop(slot.device, None)
