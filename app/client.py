"""A client of the server: what `micronet submit` and `micronet demo` are built on, and any script may be."""

import hashlib
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import httpx
from pydantic import BaseModel

from micronet.errors import MicronetError

_FINAL = ("succeeded", "failed", "canceled")
_LATER = (429, 502, 503, 504)
_FIRST_LOOK, _LONGEST_LOOK = 0.05, 1.0
_STARTING_SECONDS = 60.0
_BYTES = "application/octet-stream"


class ServerError(MicronetError):
    """What the server answered instead of a job, with the server's own code, title and detail."""

    def __init__(self, code: str, title: str, detail: str, yours: bool) -> None:
        super().__init__(detail)
        self.code, self.title, self.yours = code, title, yours  # type: ignore[misc]  # of this answer, not of the class


class Client:
    """A connection to the server at `url`. Every method raises ServerError where the server says no."""

    def __init__(self, url: str, token: str | None = None, timeout: float = 60.0) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def wait_until_ready(self, seconds: float = _STARTING_SECONDS) -> None:
        """Return when the server can work; for one that is just starting."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = self._http.get("/health/ready", timeout=5)
                if answer.is_success:
                    return
                if time.monotonic() > deadline:
                    raise ServerError("not-ready", "The server is not ready", answer.text[:500], yours=False)
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise _unreachable(error) from error
            time.sleep(_FIRST_LOOK)

    def submit(self, kind: str, checkpoint: Path | None, settings: BaseModel) -> dict[str, Any]:
        """Upload `checkpoint`, if there is one, and queue a job of `kind`; the job.

        Sent twice by accident, it is one job still.
        """
        with ExitStack() as opened:
            files: dict[str, Any] = {"settings": (None, settings.model_dump_json(exclude_unset=True))}
            if checkpoint is not None:
                file = opened.enter_context(checkpoint.open("rb"))
                files["checkpoint"] = (checkpoint.name, file, _BYTES)
            return self._json("POST", f"/{kind}", files=files, headers={"Idempotency-Key": uuid.uuid4().hex})

    def upload(self, path: Path) -> str:
        """Send a file ahead of a job that names it; its SHA-256."""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            self._json("PUT", f"/checkpoints/{sha256}", content=file, headers={"Content-Type": _BYTES})
        return sha256

    def download(self, url: str, destination: BinaryIO) -> None:
        """Write a file of the server's, as `artifacts` of a job names it, to `destination`."""
        try:
            with self._http.stream("GET", url) as answer:
                if not answer.is_success:
                    answer.read()
                    _checked(answer)
                for chunk in answer.iter_bytes(1 << 20):
                    destination.write(chunk)
        except httpx.TransportError as error:
            raise _unreachable(error) from error

    def job(self, job_id: str) -> dict[str, Any]:
        """A job as it is now."""
        return self._json("GET", f"/jobs/{job_id}")

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Ask a job to stop."""
        return self._json("POST", f"/jobs/{job_id}/cancel")

    def follow(self, job_id: str) -> Iterator[dict[str, Any]]:
        """The job whenever it has changed, the last time when it has ended. A lost connection is taken up again,
        and a server or proxy that cannot answer now is asked later.
        """
        pause, etag = _FIRST_LOOK, ""
        while True:
            try:
                answer = self._http.get(f"/jobs/{job_id}", headers={"If-None-Match": etag} if etag else {})
            except httpx.TransportError:
                time.sleep(_LONGEST_LOOK)
                continue
            if answer.status_code in _LATER:
                time.sleep(_LONGEST_LOOK)
                continue
            if answer.status_code != httpx.codes.NOT_MODIFIED:
                job = _checked(answer)
                etag, pause = answer.headers.get("ETag", ""), _FIRST_LOOK
                yield job
                if job["status"] in _FINAL:
                    return
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_LOOK)

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            return _checked(self._http.request(method, path, **options))
        except httpx.TransportError as error:
            raise _unreachable(error) from error


def _checked(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        content: dict[str, Any] = answer.json()
        return content
    try:
        problem: Mapping[str, Any] = answer.json()
    except ValueError:
        problem = {}
    title = problem.get("title", f"The server answered {answer.status_code}")
    detail = "; ".join([problem.get("detail", answer.text[:500]), *map(_fault, problem.get("errors", ()))])
    raise ServerError(
        problem.get("code", "server"), title, detail, answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR
    )


def _fault(fault: Mapping[str, Any]) -> str:
    return f"{fault.get('pointer', '')}: {fault.get('detail', '')}"


def _unreachable(error: httpx.TransportError) -> ServerError:
    return ServerError("unreachable", "The server does not answer", str(error) or type(error).__name__, yours=False)
