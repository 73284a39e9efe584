"""What a worker needs to run a job."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from worker.blobs import Blobs
from worker.job_run.too_large import TooLarge
from worker.limits import JobLimits
from worker.records import Records


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Records, store, scratch directory, limits of jobs by lane, times of leases, the worker's stop flag, and the jobs
    that find no room here.

    `beat_seconds`: between two beats of a job. `lease_seconds`: silence after which others may take it away.
    """

    records: Records
    blobs: Blobs
    scratch: Path
    limits: Mapping[str, JobLimits]
    beat_seconds: float
    lease_seconds: float
    stopping: Event
    too_large: TooLarge = field(default_factory=TooLarge)
