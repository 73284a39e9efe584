"""A job of a server's, as its sender sees it: on its way, at its end, and what is left of it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.answers import answer_of
from app.artifacts import make_room, move_all
from app.client import Client, Later, ServerError
from app.client.errors import JobCanceled
from app.commands.stopping import STOPS, signal_of, terminable
from app.errors import Interrupted
from app.progress_bar import ProgressBar
from app.reporting import of_the_system, say
from app.tables import show_rows, show_whole, wide_console
from micronet.errors import MicronetError


@contextmanager
def left_running(job_id: str) -> Iterator[None]:
    """Where this program is stopped while it waits, the job is not. Raises Interrupted, which says what can be done."""

    try:
        with terminable():
            yield
    except STOPS as error:
        detail = f"the job goes on: `micronet job {job_id} --wait` waits for it, `micronet cancel {job_id}` stops it."
        raise Interrupted(detail, signal_of(error)) from None


def followed(client: Client, job: dict[str, Any], progress: ProgressBar) -> dict[str, Any]:
    """The job when it has ended, however; shown meanwhile. Raises ServerError."""
    shown, job_id = None, job["id"]
    try:
        for now in client.follow(job_id):
            job = now
            if (where := job["stage"] or _waiting(job)) != shown:
                shown = where
                _show_where(where, progress)
            if (moved := job["progress"]) is not None:
                progress.advance(moved["done"], moved["total"], moved["unit"])
    except Later as error:
        detail = f"{error}; the job goes on when the server does: `micronet job {job_id} --wait` waits for it."
        raise ServerError.of(error, detail) from error
    return job


def _waiting(job: dict[str, Any]) -> str:
    """What a job does that is in no stage yet."""
    place = job["queue_position"]
    return f"{job['status']}, place {place}" if place else str(job["status"])


def _show_where(where: str | dict[str, Any], progress: ProgressBar) -> None:
    if isinstance(where, str):
        progress.waiting(where)
    else:
        progress.stage(where["name"], where["index"], where["count"])


def check_succeeded(job: dict[str, Any]) -> None:
    """Raise ServerError, as the job says, if it failed or was canceled."""
    if job["status"] == "canceled":
        raise JobCanceled(f"job {job['id']} was canceled before it ended")
    if (error := job["error"]) is not None:
        raise ServerError(error["detail"], code=error["code"], title=error["title"], yours=error["yours"])


def conclude(job: dict[str, Any], as_json: bool, *, fetched: Callable[[], None], printed: Callable[[], None]) -> None:
    """Fetch what a job made, print what it answered, and end as it did. Raises ServerError, AnotherVersion.

    Files that could not be fetched take nothing from what is printed, and nothing from how the job ended: where it did
    not succeed that is raised, and of the files it is said before.
    """
    unfetched = None
    try:
        fetched()
    except MicronetError as error:
        unfetched = error
    finally:  # whoever stops it has still what the job answered
        try:
            printed()
            check_succeeded(job)
        except MicronetError:
            if unfetched is not None:
                say(unfetched, as_json)
            raise
    if unfetched is not None:
        raise unfetched


def fetch(client: Client, job: dict[str, Any], output: Path | None, force: bool) -> None:
    """Write the files a job made, if it made some and there is a directory for them: of one that failed or was canceled
    what it had finished. Raises ServerError, which says how to try again, and writes none."""
    if output is None or not job["artifacts"]:
        return
    try:
        made = {Path(artifact["name"]).name: artifact for artifact in job["artifacts"]}
        make_room(output, made, force)
        with TemporaryDirectory(dir=output, prefix=".micronet-") as directory:
            for name, artifact in made.items():
                with Path(directory, name).open("xb") as file:
                    client.download(artifact, file)
            move_all(Path(directory), output, force)
    except (MicronetError, OSError) as error:
        why = error if isinstance(error, MicronetError) else of_the_system(error)
        detail = f"{why} `micronet job {job['id']} --output DIRECTORY` fetches what the job made."
        raise ServerError.of(why, detail) from error


def show(job: dict[str, Any], as_json: bool) -> None:
    """Print what a job answered that succeeded: as JSON just as it came. Raises AnotherVersion."""
    if job["status"] != "succeeded":
        return
    if as_json:
        print(json.dumps(job["result"], indent=2))
        return
    show_whole(answer_of(job), as_json=False)


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
