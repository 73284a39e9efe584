"""What a page says about a job beside its result: where it stands, how long it takes, what to do about a failure."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.pages.formats import percent
from app.pages.stored import chosen_of, settings_of
from micronet.contract import files_named
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
_IN_ROUNDS = re.compile(r"(\d+-)?prune")
"""Stages, of a job of that kind or of a pipeline, that count anew in each of their rounds."""


@dataclass(frozen=True, slots=True)
class JobPanel:
    """`share` of the stage that is done, 0..1; `remaining` seconds of it; None where nobody can know.

    `standing`: where it stands in a few words, for the tab. `in_rounds`: what is counted is a part of a round only, and
    nobody knows how many of those are to come.
    """

    title: str
    standing: str
    mark: str
    position: int | None
    share: float | None
    remaining: float | None
    log: Sequence[LogEntry]
    command: str | None
    advice: str | None
    in_rounds: bool = False


def job_panel(job: Job, position: int | None, log: Sequence[LogEntry]) -> JobPanel:
    """The panel of a job."""
    stage = job.stage
    share = remaining = None
    if stage is not None and stage.done is not None and stage.total:
        share = min(1.0, stage.done / stage.total)
        if stage.rate:
            remaining = max(0.0, (stage.total - stage.done) / stage.rate)
    advice = None if job.error is None else _advice(job.error)
    return JobPanel(
        title=title_of(job),
        standing=_standing(job, position, share),
        mark=_MARKS[job.status],
        position=position,
        share=share,
        remaining=remaining,
        log=log,
        command=_command(job),
        advice=advice,
        in_rounds=stage is not None and _IN_ROUNDS.fullmatch(stage.name) is not None,
    )


def _standing(job: Job, position: int | None, share: float | None) -> str:
    if job.status is Status.QUEUED and position:
        return f"queued, place {position:,}"
    if job.status is not Status.RUNNING or job.stage is None:
        return job.status
    done = "" if share is None else f" {percent(share, 0)}"
    return f"{job.stage.name}{done}, {job.stage.index} of {job.stage.count}"


def title_of(job: Job) -> str:
    """What people call a job: its name, else its file's, else its kind."""
    filename = None if job.checkpoint is None else job.checkpoint.filename
    return job.name or filename or f"{job.kind} job"


def _advice(error: JobError) -> str:
    if error.yours:
        return (
            "The file or a setting is at fault, and it would fail again: change what is said above, then submit again."
        )
    if error.retryable:
        return "The server is at fault, not your file, and it may well work the next time: submit it again as it is."
    return "The server is at fault, not your file: show this page to who runs the server."


def _command(job: Job) -> str | None:
    """The command line that does the same here, without a server; None for jobs of another version of this program."""
    settings = settings_of(job)
    if settings is None:
        return None
    chosen = chosen_of(settings)
    for entered in ("team", "name"):  # they change no number
        chosen.pop(entered, None)
    parts = ["micronet", job.kind]
    if job.checkpoint is not None:
        filename = job.checkpoint.filename or "FILE"
        parts.append(f"./{filename}" if filename.startswith("-") else filename)
    if chosen:
        parts += ["--settings", json.dumps(chosen)]
    for _ in files_named(settings):
        parts += ["--teacher", "TEACHER"]
    return shlex.join([*parts, "--json"])
