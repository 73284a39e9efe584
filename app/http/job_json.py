"""A job as JSON, in the order of the contract. Stored texts are put in as they are: they are JSON already, and long."""

import json
from urllib.parse import quote

from worker.records.values import Artifact, Job

_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
PAGE = "/ui/jobs/"
"""Where the page of a job is."""


def job_json(job: Job, queue_position: int | None, with_result: bool = True) -> str:
    """The text of a job."""
    stage = job.stage
    where = f"/jobs/{job.id}"
    members = {
        "id": _text(job.id),
        "kind": _text(job.kind),
        "status": _text(job.status),
        "stage": _text(stage and {"name": stage.name, "index": stage.index, "count": stage.count}),
        "progress": _text(_progress(job)),
        "queue_position": _text(queue_position),
        "attempt": _text(job.attempt),
        "created_at": _text(job.created_at),
        "started_at": _text(job.started_at),
        "finished_at": _text(job.finished_at),
        "settings": job.settings,
        "checkpoint": _text(job.checkpoint and job.checkpoint.model_dump()),
        "team": _text(job.team),
        "name": _text(job.name),
        "result": job.result if with_result and job.result is not None else "null",
        "error": _text(job.error and job.error.model_dump()),
        "artifacts": _text([{**item.model_dump(), "url": _url(item)} for item in job.artifacts]),
        "urls": _text(
            {"self": where, "cancel": f"{where}/cancel", "events": f"{where}/events", "page": f"{PAGE}{job.id}"}
        ),
    }
    return "{" + ",".join(f'"{name}":{text}' for name, text in members.items()) + "}"


def _progress(job: Job) -> dict[str, object] | None:
    stage = job.stage
    if stage is None or stage.done is None:
        return None
    return {"done": stage.done, "total": stage.total, "unit": stage.unit}


def _url(artifact: Artifact) -> str:
    return f"/blobs/{artifact.sha256}?filename={quote(artifact.name, safe='')}"
