"""What jobs are run with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from worker.blobs import Blobs
from worker.limits import JobLimits
from worker.records import Records


@dataclass(frozen=True, slots=True)
class Bench:
    """Records, files, a place for scratch, limits by lane, what a lease lives on, and the wish to stop."""

    records: Records
    blobs: Blobs
    scratch: Path
    limits: Mapping[str, JobLimits]
    beat_seconds: float
    lease_seconds: float
    stopping: Event
