"""What JSON Schema cannot say of a request, told to schemathesis; nothing invalid is made valid."""

import hashlib
import re
import uuid
from collections.abc import Iterator
from typing import Any

import schemathesis

from micronet.architectures import find_architecture
from micronet.errors import ArchitectureError

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SHA256 = re.compile("[0-9a-f]{64}")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """A key is used for one request; a file has the hash of its address."""
    headers, path = case.headers or {}, case.path_parameters or {}
    key = headers.get("Idempotency-Key")
    if isinstance(key, str) and _KEY.fullmatch(key):
        headers["Idempotency-Key"] = (uuid.uuid4().hex + key)[: max(32, len(key))]
    sha256, content = path.get("sha256"), getattr(case.body, "data", case.body)
    if case.method == "PUT" and isinstance(content, bytes) and isinstance(sha256, str) and _SHA256.fullmatch(sha256):
        path["sha256"] = hashlib.sha256(content).hexdigest()


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """A depth fits its family, milestones grow: what is within bounds and does not is left out."""
    return all(_depth_fits(part) and _milestones_grow(part) for part in _objects(case.body))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the settings."""
    if isinstance(value, dict):
        yield value
        for part in value.values():
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


def _milestones_grow(part: dict[str, Any]) -> bool:
    shares = part.get("milestones")
    if not isinstance(shares, list) or not all(isinstance(share, int | float) and 0 <= share < 1 for share in shares):
        return True
    return shares == sorted(set(shares))
