"""Answers as the OpenAPI document describes them."""

from typing import Any

from pydantic import BaseModel

from app.http.problems import MEDIA_TYPE, RETRY_SECONDS

SCHEMAS = "#/components/schemas/"
Answers = dict[int | str, dict[str, Any]]
"""By status, as FastAPI takes them."""
ETAG = {"ETag": {"schema": {"type": "string"}, "description": "for If-None-Match"}}
NOT_MODIFIED: dict[str, Any] = {"description": "As it was with this ETag", "headers": ETAG}


def problem(status: int, meaning: str) -> dict[str, Any]:
    """A problem with this status."""
    answer: dict[str, Any] = {
        "description": meaning,
        "content": {MEDIA_TYPE: {"schema": {"$ref": f"{SCHEMAS}Problem"}}},
    }
    if status in RETRY_SECONDS:
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "seconds"}}
    return answer


def success(model: type[BaseModel], meaning: str, *headers: str) -> dict[str, Any]:
    """An answer of this model, with these headers."""
    described = {name: {"schema": {"type": "string"}} for name in headers}
    return {"model": model, "description": meaning, "headers": described}
