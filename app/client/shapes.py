"""What of a server's answers is read here: an answer without it is none of this service.

A server of another version may tell more. Jobs and entries are passed on as they came.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

Address = Annotated[str, StringConstraints(pattern=r"^/([!-.0-~][!-~]*)?$")]
"""Of something on the same server."""
Status = Literal["queued", "running", "canceling", "succeeded", "failed", "canceled"]
FINAL = ("succeeded", "failed", "canceled")
"""Nothing will change any more. Both are as in `worker.records.values`, which a client is not to load; a test holds
them equal."""
_FileName = Annotated[str, StringConstraints(pattern=r"^[^/\x00]+$")]


class Shape(BaseModel):
    """Values are of these types, not only like them."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Stage(Shape):
    name: str
    index: int
    count: int


class _Progress(Shape):
    done: int
    total: int | None
    unit: str | None


class _Sent(Shape):
    sha256: str
    filename: str | None


class _Artifact(Shape):
    name: _FileName
    sha256: str
    size: int
    url: Address


class _Error(Shape):
    code: str
    title: str
    detail: str
    yours: bool


class _Urls(Shape):
    page: Address


class Job(Shape):
    """A job, as it is now."""

    id: str
    kind: str
    status: str
    stage: _Stage | None
    progress: _Progress | None
    queue_position: int | None
    attempt: int
    created_at: str
    started_at: str | None
    finished_at: str | None
    settings: dict[str, Any]
    checkpoint: _Sent | None
    team: str | None
    name: str | None
    result: dict[str, Any] | None
    error: _Error | None
    artifacts: list[_Artifact]
    urls: _Urls

    @model_validator(mode="after")
    def _why(self) -> Self:
        if self.status == "failed" and self.error is None:
            raise ValueError("a job that failed says why")
        return self


class JobPage(Shape):
    """A list of jobs."""

    jobs: list[Job]
    next: Address | None


class _Accuracy(Shape):
    correct: int
    total: int
    top1: float


class _Score(Shape):
    storage: float
    math: float
    total: float


class _Entry(Shape):
    rank: int | None
    job: str
    team: str | None
    name: str | None
    policy: str
    accuracy: _Accuracy
    score: _Score
    parameters: int
    nonzero: int
    param_bits: int | None
    mul_bits: int | None
    checkpoint_sha256: str
    scorer_version: str
    finished_at: str


class Board(Shape):
    """A list of a leaderboard's entries."""

    entries: list[_Entry]
    next: Address | None


class _Track(Shape):
    name: str
    required_correct: int


class Tracks(Shape):
    """A list of tracks."""

    tracks: list[_Track]


class Fault(Shape):
    """One thing that is wrong, and where."""

    detail: str
    pointer: str | None = None
    parameter: str | None = None


class Problem(Shape):
    """Why a request was not served."""

    code: str
    title: str
    detail: str
    errors: list[Fault] | None = None
