"""What the records say, as frozen values: a job, its checkpoint, its artifacts, its end."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Status(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"  # waits for a slot; the only status a claim starts from
    RUNNING = "running"  # a worker holds its lease
    CANCELING = "canceling"  # asked to stop; its worker has not yet said that it did
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def final(self) -> bool:
        """Nothing will change any more."""
        return self in FINAL


FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED})
HELD = frozenset({Status.RUNNING, Status.CANCELING})
"""A worker is at work on it."""
ALIVE = HELD | {Status.QUEUED}
"""It has not ended."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A file of known content. `location` is where its store keeps it."""

    sha256: str
    size: int
    location: str


class Checkpoint(BaseModel):
    """The file a job is about, under the name its sender gave it."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    size: int
    filename: str | None


class Artifact(BaseModel):
    """A file a job made."""

    model_config = ConfigDict(frozen=True)

    name: str
    sha256: str
    size: int


class JobError(BaseModel):
    """Why a job failed. `yours`: the file or a setting, else the server. `retryable`: sending it again may help."""

    model_config = ConfigDict(frozen=True)

    code: str
    title: str
    detail: str
    stage: str | None = None
    retryable: bool = False
    yours: bool = False


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as it is accepted. `owner` is the token's team ('' on an open server), `team` the one shown and ranked.

    `checkpoint` is None for a job that starts without one; `files` are SHA-256s of others that the settings name.
    """

    id: str
    kind: str
    lane: str
    owner: str
    team: str | None
    name: str | None
    settings: str
    checkpoint: Checkpoint | None
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A sender's key for a request, and a fingerprint of everything that makes the request what it is.

    `former`: the fingerprint that an earlier version kept of the same request.
    """

    key: str
    fingerprint: str
    former: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """What a running job does, the `index`-th (from 1) of `count` stages, and how far it is.

    `rate`: units a second since the stage's first report; None before its second.
    """

    name: str
    index: int
    count: int
    done: int | None = None
    total: int | None = None
    unit: str | None = None
    rate: float | None = None


class Event(StrEnum):
    """What an entry of a job's log tells of."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    STAGE = "stage"
    GIVEN_BACK = "given-back"  # by a worker that lives
    LOST = "lost"  # with a worker that gave no sign of life
    CANCEL_ASKED = "cancel-asked"
    ENDED = "ended"
    UNLISTED = "unlisted"  # what else happened is not in the log


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Something that happened to a job. `at` is the time of day of whoever wrote it: for people to read."""

    at: str
    event: Event
    text: str


@dataclass(frozen=True, slots=True)
class Job:
    """A job's record. `settings`, `result`: JSON texts; times: ISO 8601 in UTC; `version` grows with every change.

    `attempts_before`: attempts up to the last one that wrote something down; those after it are counted against it.
    """

    id: str
    seq: int
    kind: str
    lane: str
    status: Status
    owner: str
    team: str | None
    name: str | None
    settings: str
    checkpoint: Checkpoint | None
    attempt: int
    attempts_before: int
    version: int
    stage: Stage | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    result: str | None
    error: JobError | None
    artifacts: tuple[Artifact, ...]
    claim: str | None
    worker: str | None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """Something a long job wrote down, under its name, and where that lies."""

    name: str
    blob: StoredBlob


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an entry: where its file lies now, None for a job that is not held any more, and where the former
    one's file lies, which is to be deleted now."""

    location: str | None
    former: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a claimed job ended: `status` is succeeded, failed or canceled."""

    status: Status
    result: str | None = None
    error: JobError | None = None
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """How a job has ended, and where each of its files lies now."""

    status: Status
    locations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's hold on a job, as an observer sees it: as long as `beat` grows, the worker lives.

    `seconds`: that the beat may stand still, as the worker said; None of one of an older version, which said nothing.
    """

    job_id: str
    claim: str
    beat: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """A worker as it described itself; `beat` grows while it lives. `lease_seconds`: as in `Lease`."""

    id: str
    host: str
    lanes: str
    devices: tuple[str, ...]
    isolation: tuple[str, ...]
    version: str
    beat: int
    seen_at: str
    lease_seconds: float | None = None
