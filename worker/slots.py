"""A slot: a device, the warm process that runs one job after the other on it, and how much each job may use."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from worker.limits import JobLimits, default_memory_bytes
from worker.runner import Runner
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for one job at a time."""

    device: str
    runner: Runner


def limits_by_lane(settings: Settings, slots: int) -> Mapping[str, JobLimits]:
    """Limits of one job when `slots` of them may run at once on this machine."""
    memory = settings.memory_bytes or default_memory_bytes() // slots
    walls = {"short": settings.wall_seconds, "long": settings.long_wall_seconds}
    return {
        lane: JobLimits(
            wall_seconds=wall,
            memory_bytes=memory,
            cpu_seconds=int(wall * (os.cpu_count() or 1)) + 1,
            journal_bytes=settings.journal_bytes,
        )
        for lane, wall in walls.items()
    }
