"""A job of a server's, as its sender sees it: on its way, at its end, and what is left of it."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.answers import answer_of
from app.artifacts import move_all
from app.client import Client, Later, ServerError
from app.commands.jobs import show_answer
from app.progress_bar import ProgressBar
from app.tables import show_rows, wide_console

FINAL = ("succeeded", "failed", "canceled")


def followed(client: Client, job: dict[str, Any], progress: ProgressBar) -> dict[str, Any]:
    """The job when it has ended, however; shown meanwhile. Raises ServerError."""
    stage, job_id = None, job["id"]
    progress.stage("queued", 0, 0)
    try:
        for now in client.follow(job_id):
            job = now
            if job["stage"] is not None and job["stage"] != stage:
                stage = job["stage"]
                progress.stage(stage["name"], stage["index"], stage["count"])
            if (moved := job["progress"]) is not None:
                progress.advance(moved["done"], moved["total"], moved["unit"])
    except Later as error:
        detail = f"{error}; the job goes on when the server does: `micronet job {job_id} --wait` waits for it."
        raise ServerError(error.code, error.title, detail, error.yours) from error
    return job


def check_succeeded(job: dict[str, Any]) -> None:
    """Raise ServerError, as the job says, if it failed or was canceled."""
    if job["status"] == "canceled":
        detail = f"job {job['id']} was canceled before it ended"
        raise ServerError("canceled", "The job was canceled", detail, yours=True)
    if (error := job["error"]) is not None:
        raise ServerError(error["code"], error["title"], error["detail"], error["yours"])


def fetch(client: Client, job: dict[str, Any], output: Path, force: bool) -> None:
    """Write the files a job made to a directory. Raises OSError, SettingsError, ServerError, and then writes none."""
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output, prefix=".micronet-") as directory:
        for artifact in job["artifacts"]:
            with Path(directory, Path(artifact["name"]).name).open("xb") as file:
                client.download(artifact["url"], file)
        move_all(Path(directory), output, force)


def show(job: dict[str, Any], as_json: bool) -> None:
    """Print what a job that succeeded answered: as JSON just as it came. Raises AnotherVersion."""
    if as_json:
        print(json.dumps(job["result"], indent=2))
    else:
        show_answer(answer_of(job), as_json)


def show_state(job: dict[str, Any]) -> None:
    """Print how far a job is."""
    facts = {
        "job": job["id"],
        "kind": job["kind"],
        "status": job["status"],
        "place in the queue": job["queue_position"],
        "stage": job["stage"] and "{name} ({index}/{count})".format_map(job["stage"]),
        "progress": job["progress"] and _counted(job["progress"]),
        "attempt": job["attempt"] or None,
        "team": job["team"],
        "name": job["name"],
        "file": job["checkpoint"] and (job["checkpoint"]["filename"] or job["checkpoint"]["sha256"]),
        "created": job["created_at"],
        "started": job["started_at"],
        "finished": job["finished_at"],
    }
    rows = ((name, str(value)) for name, value in facts.items() if value is not None)
    show_rows(("", ""), rows, wide_console())


def _counted(progress: dict[str, Any]) -> str:
    done, total, unit = (progress[key] for key in ("done", "total", "unit"))
    return f"{done:,}{'' if total is None else f' of {total:,}'} {unit or ''}".rstrip()
