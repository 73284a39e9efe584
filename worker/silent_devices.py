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
        """What the slot can do, for all that is known: None for everything."""
        return WITHOUT_DEVICE if slot.device in self else None

    def answers_again(self, slot: Slot) -> bool:
        """Whether the slot's device, which did not answer, does now. It is asked where it has rested long enough, which
        takes a minute where its driver hangs: for a slot that has nothing else to do."""
        rest_until = self._rest_until.get(slot.device)
        return rest_until is not None and time.monotonic() >= rest_until and self._ask_again(slot)

    def _ask_again(self, slot: Slot) -> bool:
        try:
            self._ask(slot)
        except (DeviceUnavailable, RunnerUnavailable, OSError) as error:
            log.warning("device does not answer", device=slot.device, reason=str(error))
            self.add(slot.device)
            return False
        log.info("device answers again", device=slot.device)
        self._rest_until.pop(slot.device, None)
        return True
