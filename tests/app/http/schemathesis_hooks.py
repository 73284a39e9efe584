"""What JSON Schema cannot say of a request, told to schemathesis; nothing invalid is made valid."""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import schemathesis
from pydantic import ValidationError

from micronet.architectures import find_architecture
from micronet.contract.values import NAME_PATTERN
from micronet.errors import ArchitectureError
from micronet.jobs import JOBS
from micronet.tracks import BUILT_IN
from worker.settings import Settings

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SHA256 = re.compile("[0-9a-f]{64}")
_CURSOR = re.compile("b[0-9a-f]{32}")
_MOST = Settings().upload_bytes


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """A key is used for one request; a file has the hash of its address, the first piece of one is all of it."""
    headers, path = case.headers or {}, case.path_parameters or {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and _KEY.fullmatch(key):
        headers["Idempotency-Key"] = (uuid.uuid4().hex + key)[: max(32, len(key))]
    sha256, content = path.get("sha256"), getattr(case.body, "data", case.body)
    if not (isinstance(content, bytes) and isinstance(sha256, str) and _SHA256.fullmatch(sha256)):
        return
    if case.method == "PATCH" and content and headers.get("Upload-Offset") == "0" and _is_length(headers):
        headers["Upload-Length"] = str(len(content))
    if case.method in ("PUT", "PATCH"):
        path["sha256"] = hashlib.sha256(content).hexdigest()


def _is_length(headers: Any) -> bool:
    length = str(headers.get("Upload-Length", ""))
    return re.fullmatch("[1-9][0-9]{0,18}", length) is not None and int(length) <= _MOST


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """What is within all bounds and does not fit together is left out, and so are places in a list that nobody gave,
    and names that could be those of tracks, where the document does not tell which there are.
    """
    query = case.query or {}
    cursor, track = query.get("cursor"), query.get("track")
    if case.path == "/leaderboard" and isinstance(cursor, str) and _CURSOR.fullmatch(cursor):
        return False
    if "security" in case.operation.definition.raw and isinstance(track, str) and track not in BUILT_IN:
        return re.fullmatch(NAME_PATTERN, track) is None or len(track) > 200
    settings = case.body.get("settings") if isinstance(case.body, dict) else None
    return _fits_together(case.path.strip("/"), settings) and all(_depth_fits(part) for part in _objects(settings))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the settings."""
    if isinstance(value, dict):
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _objects(part)


def _depth_fits(part: dict[str, Any]) -> bool:
    architecture = part.get("architecture")
    if not isinstance(architecture, dict) or not isinstance(architecture.get("options"), dict):
        return True
    try:
        find_architecture(str(architecture.get("name"))).parse(architecture["options"])
    except ArchitectureError as error:
        return "depth is " not in str(error)
    return True


def _fits_together(kind: str, settings: Any) -> bool:
    """False where nothing is wrong but what validators of the contract say of several settings at once."""
    if kind not in JOBS or not isinstance(settings, dict):
        return True
    try:
        JOBS[kind].settings.model_validate_json(json.dumps(settings), strict=True)
    except ValidationError as error:
        faults = {fault["type"] for fault in error.errors()}
        return not ("value_error" in faults and faults <= {"value_error", "too_short"})  # the second may follow from it
    except (TypeError, ValueError):  # no JSON at all
        return True
    return True
