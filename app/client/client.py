"""The client: one method for each thing that can be asked of a server."""

import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from app.client.connection import Connection
from app.client.downloading import download
from app.client.errors import Later, Lost, ServerError
from app.client.reading import checked, content_of
from app.client.shapes import FINAL, Board, Job, JobPage, Shape, Tracks
from app.client.uploading import Progress, upload

_FIRST_LOOK, _LONGEST_LOOK = 0.05, 1.0
_STARTING_SECONDS = 60.0
_PAGE, _NAME_LENGTH = 100, 255

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that a server has already, and the name that a job is to know it by."""

    sha256: str
    filename: str


class Client:
    """A connection to the server at `url`. Every method raises ServerError where the server says no.

    A server that goes away, or cannot answer just now, is asked again with growing pauses until for `patience` seconds
    nothing went forward; every request can be repeated without harm. One that never answered yet and takes no
    connection is not waited for, except by `wait_until_ready`. `timeout`: seconds for a connection to stand still.
    """

    def __init__(self, url: str, token: str | None = None, timeout: float = 60.0, patience: float = 300.0) -> None:
        self._connection = Connection(url, token, timeout, patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def wait_until_ready(self, seconds: float = _STARTING_SECONDS) -> None:
        """Return when the server can work; for one that is just starting."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                content_of(self._connection.once("GET", "/health/ready", timeout=5))
                return
            except ServerError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_FIRST_LOOK)

    def submit(
        self,
        kind: str,
        checkpoint: Path | Stored | None,
        settings: BaseModel,
        progress: Progress = lambda done, total: None,
    ) -> Json:
        """Queue a job of `kind`, and upload `checkpoint` before if it is a file here; the job.

        Sent twice by accident, it is one job still.
        """
        if not isinstance(checkpoint, Path):
            return self._submit(kind, checkpoint, settings)
        name = os.fsencode(checkpoint.name).decode(errors="replace")[-_NAME_LENGTH:]
        sent = Stored(self.upload(checkpoint, progress), name)
        try:
            return self._submit(kind, sent, settings)
        except ServerError as error:  # of a teacher that is not there, too
            if error.code != "checkpoint-not-found" or sent.sha256 not in str(error):
                raise
        # it was there already, for a job that was deleted this moment
        return self._submit(kind, Stored(self.upload(checkpoint, progress), name), settings)

    def _submit(self, kind: str, checkpoint: Stored | None, settings: BaseModel) -> Json:
        fields = {"settings": settings.model_dump_json(exclude_unset=True)}
        if checkpoint is not None:
            fields |= {"checkpoint_sha256": checkpoint.sha256, "filename": checkpoint.filename}
        form = {name: (None, value) for name, value in fields.items()}
        return self._connection.json("POST", f"/{kind}", Job, files=form, headers={"Idempotency-Key": uuid.uuid4().hex})

    def upload(self, path: Path, progress: Progress = lambda done, total: None) -> str:
        """Send a file ahead of a job that names it; its SHA-256. Raises OSError too.

        A large one goes in pieces: after a lost connection, or a server that died, it goes on where that ended.
        """
        return upload(self._connection, path, progress)

    def download(self, artifact: Json, destination: BinaryIO) -> None:
        """Write a file that a job made, one of its `artifacts`, to `destination`. Raises OSError too.

        What came is held against the hash and the size that the job tells: ServerError, and it is none of the job's.
        A file never changes under its address, so after a lost connection only the rest is fetched.
        """
        download(self._connection, artifact, destination)

    def job(self, job_id: str) -> Json:
        """A job as it is now."""
        return self._connection.json("GET", _address(job_id), Job)

    def jobs(
        self,
        *,
        status: str | None = None,
        kind: str | None = None,
        team: str | None = None,
        id_prefix: str | None = None,
    ) -> Iterator[Json]:
        """Jobs, the newest first, without their results; more are asked for as they are taken."""
        return self._pages(
            "/jobs", JobPage, "jobs", {"status": status, "kind": kind, "team": team, "id_prefix": id_prefix}
        )

    def page(self, job: Json) -> str:
        """URL of a job's page, for people."""
        return self._connection.url(job["urls"]["page"])

    def cancel(self, job_id: str) -> Json:
        """Ask a job to stop."""
        return self._connection.json("POST", f"{_address(job_id)}/cancel", Job)

    def delete(self, job_id: str) -> None:
        """Take back a job that has ended, with its entry on the leaderboard and what nothing else names of its files.

        One that is gone after an answer was lost was deleted by that very request.
        """
        patience, lost = self._connection.patience(), False
        while True:
            try:
                checked(self._connection.once("DELETE", _address(job_id)))
                return
            except Later as error:
                lost |= isinstance(error, Lost)
                patience.wait(error)
            except ServerError as error:
                if not (lost and error.code == "job-not-found"):
                    raise
                return

    def follow(self, job_id: str) -> Iterator[Json]:
        """The job whenever it has changed, the last time when it has ended."""
        pause, etag = _FIRST_LOOK, ""
        while True:
            given = {"If-None-Match": etag} if etag and etag.isascii() else {}
            answer = self._connection.answer("GET", _address(job_id), headers=given)
            if answer.status_code != httpx.codes.NOT_MODIFIED:
                job = content_of(answer, Job)
                etag, pause = answer.headers.get("ETag", ""), _FIRST_LOOK
                yield job
                if job["status"] in FINAL:
                    return
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_LOOK)

    def leaderboard(
        self,
        track: str,
        *,
        policy: str | None = None,
        team: str | None = None,
        qualifies: bool | None = None,
        sort: str = "score",
        order: str = "asc",
    ) -> Iterator[Json]:
        """Measured scores of a track, all of them; more are asked for as they are taken."""
        query = {"policy": policy, "team": team, "qualifies": qualifies, "sort": sort, "order": order}
        return self._pages("/leaderboard", Board, "entries", {"track": track, **query})

    def tracks(self) -> list[Json]:
        """The tracks of the server: what is measured, the floor, the baselines."""
        tracks: list[Json] = self._connection.json("GET", "/tracks", Tracks)["tracks"]
        return tracks

    def _pages(self, path: str, shape: type[Shape], key: str, query: Json) -> Iterator[Json]:
        given = {name: value for name, value in query.items() if value is not None}
        page = self._connection.json("GET", path, shape, params={**given, "limit": _PAGE})
        yield from page[key]
        while page["next"] is not None:
            page = self._connection.json("GET", page["next"], shape)
            yield from page[key]


def _address(job_id: str) -> str:
    """Where a job is, whatever somebody types as its id."""
    return f"/jobs/{quote(job_id, safe='', errors='surrogateescape')}"
