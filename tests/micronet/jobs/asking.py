"""Running jobs as their callers do: settings as JSON, a file, a directory for what they leave behind."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from micronet.contract import ScoreResult
from micronet.jobs import JOBS, Context


def ask(
    kind: str, path: Path, settings: Mapping[str, object], outputs: Path | None = None, data_dir: Path | None = None
) -> Any:
    job = JOBS[kind]
    result = job.run(
        job.settings.model_validate_json(json.dumps(settings)), path, Context(data_dir, "cpu", outputs=outputs)
    )
    assert job.result.model_validate_json(result.model_dump_json()) == result
    return result


def numbers(result: ScoreResult) -> dict[str, object]:
    """All of a score that must not change with the way the network was written down, or with who fused it."""
    return result.model_dump(exclude={"scorer", "warnings", "changes"})
