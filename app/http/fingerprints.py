"""Fingerprints of requests with an Idempotency-Key: of what was sent, so that no new setting and no new default of a
later version makes another request of it."""

import hashlib
import json

from micronet.contract import JobSettings
from worker.records.values import Idempotency


def idempotency(
    key: str, kind: str, settings: JobSettings, sha256: str | None, filename: str | None = None
) -> Idempotency:
    """The key, and a fingerprint of all that makes the request what it is. `sha256`, `filename`: of its file, if any.

    `former` is of the settings with every default filled in, as earlier versions took it.
    """
    sent = json.dumps(settings.model_dump(mode="json", exclude_unset=True), sort_keys=True)
    file = ("none",) if sha256 is None else (sha256, filename or "")
    return Idempotency(key, _digest(kind, sent, *file), former=_digest(kind, settings.model_dump_json(), *file))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
