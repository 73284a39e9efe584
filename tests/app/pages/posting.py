"""A form of the pages, sent as a browser sends it."""

from typing import Any

import httpx
from fastapi.testclient import TestClient

from app.services import Services
from worker.records.jobs import Filter

NETWORK = b"not a network, but nobody looks here"
POLICY = {"policies": [[{"operation": "rotate", "magnitude": 0.25}]]}


def post(page: TestClient, kind: str = "score", content: bytes | None = NETWORK, **fields: str) -> httpx.Response:
    """The form as a browser sends it; without content, the field for the file is empty."""
    parts: dict[str, Any] = {name.replace("__", "/"): (None, text) for name, text in fields.items()}
    file = ("", b"", "application/octet-stream") if content is None else ("net.onnx", content)
    return page.post(f"/ui/submit/{kind}", files={"checkpoint": file, **parts})


def only_job(services: Services) -> Any:
    """The one there is."""
    (job,) = services.records.jobs.list(Filter(), 10)
    return job
