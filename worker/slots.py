"""A slot: a device, the warm process that runs one job after the other on it, and how much each job may use."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from worker.devices import devices
from worker.limits import JobLimits, default_memory_bytes
from worker.runner import Runner
from worker.settings import LONG, SHORT, Settings


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """Room for one job at a time.

    lanes      what it takes
    reserved   for short jobs while every other slot has a long one: nobody waits behind a week of training. Its process
               is started when it is needed first.
    """

    device: str
    runner: Runner
    lanes: tuple[str, ...]
    reserved: bool = False


def slots_of(settings: Settings, make_runner: Callable[[], Runner]) -> tuple[Slot, ...]:
    """The slots of one worker: as many as devices, and where they take jobs of both lanes a reserved one."""
    lanes = settings.accepted_lanes()
    found = devices(settings.slots)
    slots = tuple(Slot(device, make_runner(), lanes) for device in found)
    return slots if len(lanes) == 1 else (*slots, Slot(found[0], make_runner(), (SHORT,), reserved=True))


def limits_by_lane(settings: Settings, slots: int) -> Mapping[str, JobLimits]:
    """Limits of one job when `slots` that are not reserved share this machine.

    Memory is shared out for the most that may run at once: a long job on each, and a short one on the reserved slot, or
    short ones on all; a short job may use a third at most.
    """
    memory = dict.fromkeys((SHORT, LONG), default_memory_bytes() // slots)
    if len(settings.accepted_lanes()) > 1:
        memory[SHORT] = default_memory_bytes() // max(slots + 1, 3)
        memory[LONG] = (default_memory_bytes() - memory[SHORT]) // slots
    walls = {SHORT: settings.wall_seconds, LONG: settings.long_wall_seconds}
    return {
        lane: JobLimits(
            wall_seconds=wall,
            memory_bytes=settings.memory_bytes or memory[lane],
            cpu_seconds=int(wall * (os.cpu_count() or 1)) + 1,
            journal_bytes=settings.journal_bytes,
        )
        for lane, wall in walls.items()
    }
