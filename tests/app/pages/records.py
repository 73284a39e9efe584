"""Jobs that have ended, without anybody having worked on them."""

from typing import Any

from app.services import Services
from micronet.contract import ScoreResult
from tests.app.http.results import score_text
from worker.records.values import Ending, Job, JobError, Status


def scored(services: Services, correct: int = 350, points: float = 0.4, **changes: Any) -> Job:
    """The job that waits, ended with this score; `changes` of its result, such as the policy."""
    result = ScoreResult.model_validate_json(score_text(correct, points)).model_copy(update=changes)
    return ended(services, Ending(Status.SUCCEEDED, result.model_dump_json()))


def failed(services: Services, *, yours: bool, retryable: bool = False, detail: str = "what was wrong") -> Job:
    """The job that waits, ended with an error."""
    error = JobError(
        code="corrupt-file", title="The file is damaged", detail=detail, stage="read", retryable=retryable, yours=yours
    )
    return ended(services, Ending(Status.FAILED, error=error))


def ended(services: Services, ending: Ending) -> Job:
    """The job that waits, claimed and ended."""
    claimed = services.records.leases.claim("worker", ("short", "long"))
    assert claimed is not None
    assert services.records.leases.finish(claimed, ending)
    return services.records.jobs.read(claimed.id)
