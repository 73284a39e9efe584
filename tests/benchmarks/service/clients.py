"""A client that costs little beside the server it measures: one connection that is kept."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

from tests.trips.deployment import FINAL, Deployment

_BOUNDARY = "the-boundary-of-a-benchmark"
FORM_TYPE = f"multipart/form-data; boundary={_BOUNDARY}"
_POLL_SECONDS = 0.02


def form_around_file(settings: str) -> tuple[bytes, bytes]:
    """What comes before and after a checkpoint's bytes in the form of a job."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="settings"\r\n\r\n{settings}\r\n'
    head += f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="checkpoint"; filename="a.onnx"\r\n\r\n'
    return head.encode(), f"\r\n--{_BOUNDARY}--\r\n".encode()


class Client:
    """One connection to a deployment. For one thread at a time."""

    def __init__(self, deployment: Deployment) -> None:
        self._connection = HTTPConnection("127.0.0.1", deployment.port, timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def hang_up(self) -> None:
        """Before a long pause: the server would, and the next request opens a connection by itself."""
        self._connection.close()

    def submit(self, content: bytes, settings: str) -> str:
        """POST a score job with its file; its id."""
        head, tail = form_around_file(settings)
        job = self._ask("POST", "/score", 202, head + content + tail, {"Content-Type": FORM_TYPE})
        return str(job["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """GET a job."""
        return self._ask("GET", f"/jobs/{job_id}", 200)

    def cancel(self, job_id: str) -> None:
        """POST a running job's cancel."""
        self._ask("POST", f"/jobs/{job_id}/cancel", 202)

    def jobs(self) -> Iterator[dict[str, Any]]:
        """Every job there is, the newest first."""
        following: str | None = "/jobs?limit=100"
        while following is not None:
            page = self._ask("GET", following, 200)
            yield from page["jobs"]
            following = page["next"]

    def ended(self, job_id: str, seconds: float = 600) -> dict[str, Any]:
        """The job when it has ended, asked for fifty times a second."""
        deadline = monotonic() + seconds
        while (job := self.job(job_id))["status"] not in FINAL:
            assert monotonic() < deadline, f"waited {seconds} s for {job}"
            sleep(_POLL_SECONDS)
        return job

    def succeeded(self, job_id: str) -> dict[str, Any]:
        """Likewise; it has to have succeeded."""
        job = self.ended(job_id)
        assert job["status"] == "succeeded", job["error"]
        return job

    def _ask(
        self, method: str, path: str, status: int, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        self._connection.request(method, path, body, headers or {})
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == status, text[:2000]
        value: dict[str, Any] = json.loads(text)
        return value


def published(name: str) -> Path:
    """A published checkpoint, from the directory beside the repository. Raises FileNotFoundError."""
    path = Path(__file__).resolve().parents[3].parent / "shared" / "checkpoints" / name
    if not path.is_file():
        raise FileNotFoundError(f"{path}: this benchmark is of the published checkpoints beside the repository")
    return path
