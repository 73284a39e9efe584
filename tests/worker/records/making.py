"""Making jobs and files for tests of the records."""

import hashlib
import uuid
from typing import Any

from worker.records import Records
from worker.records.values import Checkpoint, Job, NewJob, StoredBlob


def store(
    records: Records, owner: str = "", content: str = "content", size: int = 7, quota: int | None = None
) -> StoredBlob:
    """Record a file that holds `content`."""
    location = f"ab/{uuid.uuid4().hex}"
    return records.blobs.add(StoredBlob(hashlib.sha256(content.encode()).hexdigest(), size, location), owner, quota)


def new_job(blob: StoredBlob, **changes: Any) -> NewJob:
    """A score job of a file."""
    values: dict[str, Any] = {
        "id": uuid.uuid4().hex,
        "kind": "score",
        "lane": "short",
        "owner": "",
        "team": None,
        "name": None,
        "settings": "{}",
        "checkpoint": Checkpoint(sha256=blob.sha256, size=blob.size, filename="net.onnx"),
    }
    return NewJob(**(values | changes))


def accept(records: Records, **changes: Any) -> Job:
    """An accepted job."""
    blob = store(records, changes.get("owner", ""))
    return records.jobs.submit(new_job(blob, **changes), None, 1000).job
