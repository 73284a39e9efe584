"""What a job on a server answered, read by this version of the contract."""

import json
from typing import Any

from pydantic import ValidationError

from app.errors import AnotherVersion
from micronet.contract import Value
from micronet.jobs import JOBS


def answer_of(job: dict[str, Any]) -> Value:
    """The result of a job that succeeded. Raises AnotherVersion where this program does not know its kind or form."""
    job_id, kind = job["id"], job["kind"]
    advice = f"Use the version that the server has; `micronet job {job_id} --json` prints it as it is."
    if kind not in JOBS:
        raise AnotherVersion(
            f"job {job_id} is of kind {kind!r}, which this version of the program does not have. {advice}"
        )
    try:
        return JOBS[kind].result.model_validate_json(json.dumps(job["result"]))
    except ValidationError as error:
        detail = (
            f"another version of this program wrote the result of job {job_id}, and this one cannot read it. {advice}"
        )
        raise AnotherVersion(detail) from error
