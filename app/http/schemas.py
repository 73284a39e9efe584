"""Shapes of answers, for the OpenAPI document; jobs are written by `job_json`, and a test holds the two together."""

from functools import reduce
from operator import or_
from typing import Annotated, Any

from pydantic import BaseModel, Field, JsonValue, create_model

from app import job_id_form
from micronet.jobs import JOBS
from micronet.tracks import Published
from worker.records.log import MOST_ENTRIES
from worker.records.values import Artifact, Checkpoint, Event, JobError, Status

Count = Annotated[int, Field(ge=0)]
Position = Annotated[int, Field(ge=1)]


class StageView(BaseModel):
    """What a job is doing: the `index`-th of `count` stages."""

    name: str
    index: Position
    count: Position


class ProgressView(BaseModel):
    """How far its stage is."""

    done: Count
    total: Count | None
    unit: str | None


class ArtifactView(Artifact):
    """A file a job made, and where to get it."""

    url: str


class Urls(BaseModel):
    """Where there is more about a job."""

    self: str
    cancel: str
    events: str
    page: str


def _union(types: list[type[BaseModel]]) -> Any:
    return reduce(or_, types)


JobView = create_model(
    "Job",
    __doc__="A job. In lists and events `result` is null even where there is one: it is long.",
    id=(str, Field(pattern=job_id_form.WHOLE)),
    kind=(str, Field(json_schema_extra={"enum": list(JOBS)})),
    status=(Status, ...),
    stage=(StageView | None, ...),
    progress=(ProgressView | None, ...),
    queue_position=(Position | None, ...),
    attempt=(Count, ...),
    created_at=(str, Field(json_schema_extra={"format": "date-time"})),
    started_at=(str | None, Field(json_schema_extra={"format": "date-time"})),
    finished_at=(str | None, Field(json_schema_extra={"format": "date-time"})),
    settings=(_union([job.settings for job in JOBS.values()]), ...),
    checkpoint=(Checkpoint | None, ...),
    team=(str | None, ...),
    name=(str | None, ...),
    result=(_union([job.result for job in JOBS.values()]) | None, ...),
    error=(JobError | None, ...),
    artifacts=(list[ArtifactView], ...),
    urls=(Urls, ...),
)


class JobList(BaseModel):
    """A page of jobs, the newest first; `next` is the address of the page after it."""

    jobs: list[JobView]  # type: ignore[valid-type]
    next: str | None


class LogEntryView(BaseModel):
    """Something that happened to a job; `unlisted`: what else did is not listed."""

    at: str = Field(json_schema_extra={"format": "date-time"})
    event: Event
    text: str


class JobLog(BaseModel):
    """What happened to a job, in the order in which it was written down."""

    entries: list[LogEntryView] = Field(max_length=MOST_ENTRIES)


class TrackView(BaseModel):
    """A track: what is measured, the floor, the baselines scores are relative to, and what others have published."""

    name: str
    title: str
    dataset: str
    classes: int
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    required_correct: int
    test_images: int
    threshold: float
    baseline_storage: int
    baseline_math: int
    official: bool
    note: str
    published: tuple[Published, ...]


class TrackList(BaseModel):
    """Every track of this server."""

    tracks: list[TrackView]


class ArchitectureView(BaseModel):
    """A network that a bare state dict can be of; `options` is a JSON Schema."""

    name: str
    summary: str
    options: dict[str, JsonValue]


class ArchitectureList(BaseModel):
    """Every architecture of this server."""

    architectures: list[ArchitectureView]
