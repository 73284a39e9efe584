"""What a page says about a job beside its result: where it stands, how long it takes, what to do about a failure."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from micronet.jobs import JOBS
from worker.records.values import Job, JobError, LogEntry, Status

_MARKS: Mapping[Status, str] = {
    Status.QUEUED: "…",
    Status.RUNNING: "▸",
    Status.CANCELING: "◼",
    Status.SUCCEEDED: "✓",
    Status.FAILED: "✗",
    Status.CANCELED: "–",
}
"""A sign beside the word, for those who see neither word nor colour at a glance."""


@dataclass(frozen=True, slots=True)
class JobView:
    """`share` of the stage that is done, 0..1; `remaining` seconds of it; None where nobody can know."""

    title: str
    mark: str
    position: int | None
    share: float | None
    remaining: float | None
    log: Sequence[LogEntry]
    command: str
    advice: str | None


def job_view(job: Job, position: int | None, log: Sequence[LogEntry]) -> JobView:
    """The view of a job."""
    stage = job.stage
    share = remaining = None
    if stage is not None and stage.done is not None and stage.total:
        share = min(1.0, stage.done / stage.total)
        if stage.rate:
            remaining = max(0.0, (stage.total - stage.done) / stage.rate)
    advice = None if job.error is None else _advice(job.error)
    return JobView(title_of(job), _MARKS[job.status], position, share, remaining, log, _command(job), advice)


def title_of(job: Job) -> str:
    """What people call a job: its name, else its file's, else its kind."""
    filename = None if job.checkpoint is None else job.checkpoint.filename
    return job.name or filename or f"{job.kind} job"


def status_mark(status: Status) -> str:
    """The sign beside the word."""
    return _MARKS[status]


def _advice(error: JobError) -> str:
    if error.yours:
        return (
            "The file or a setting is at fault, and it would fail again: change what is said above, then submit again."
        )
    if error.retryable:
        return "The server is at fault, not your file, and it may well work the next time: submit it again as it is."
    return "The server is at fault, not your file: show this page to who runs the server."


def _command(job: Job) -> str:
    """The command line that does the same here, without a server."""
    settings = _chosen(job)
    parts = ["micronet", job.kind]
    if job.checkpoint is not None:
        parts.append(job.checkpoint.filename or "FILE")
    if settings:
        parts += ["--settings", json.dumps(settings)]
    return shlex.join([*parts, "--json"])


def _chosen(job: Job) -> dict[str, Any]:
    """The settings that are not the default, without whose entry it is: that changes no number."""
    settings = JOBS[job.kind].settings.model_validate_json(job.settings)
    given: dict[str, Any] = settings.model_dump(mode="json", exclude_defaults=True, exclude={"team", "name"})
    return given
