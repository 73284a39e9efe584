"""Sending jobs."""

import json
from typing import Any

import httpx
from fastapi.testclient import TestClient

NETWORK = b"not a network, but nobody looks here"


def send(
    client: TestClient | httpx.Client,
    settings: dict[str, Any] | str | bytes | None = None,
    content: bytes = NETWORK,
    *,
    kind: str = "score",
    filename: str = "net.onnx",
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """POST a form with a file and settings."""
    text = settings if isinstance(settings, str | bytes) else json.dumps(settings or {})
    files = {"checkpoint": (filename, content), "settings": (None, text)}
    return client.post(f"/{kind}", files=files, headers=headers)


def accepted(client: TestClient | httpx.Client, *arguments: Any, **options: Any) -> dict[str, Any]:
    """The job of a form that is taken."""
    answer = send(client, *arguments, **options)
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    job: dict[str, Any] = answer.json()
    return job


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem in an answer, which must be this one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = answer.json()
    assert content["code"] == code, content
    assert content["type"] == f"/problems/{code}"
    assert content["status"] == status
    return content


def pointers(content: dict[str, Any]) -> list[str]:
    """Where the faults are."""
    return [fault["pointer"] for fault in content["errors"]]
