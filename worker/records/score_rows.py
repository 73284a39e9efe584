"""From a job that measured a score to its row on the leaderboard."""

from micronet.contract import ScoreResult
from worker.records.clock import now
from worker.records.values import Ending, Job


def score_row(job: Job, ending: Ending) -> dict[str, object] | None:
    """The row of a measured score; None for other jobs and for counts without accuracy."""
    if job.kind != "score" or ending.result is None or job.checkpoint is None:
        return None
    result = ScoreResult.model_validate_json(ending.result)
    if result.accuracy is None:
        return None
    widths = result.widths
    return {
        "job_id": job.id,
        "track": result.track,
        "policy": result.policy,
        "team": job.team,
        "name": job.name,
        "searched": searched(job.team, job.name),
        "sha256": job.checkpoint.sha256,
        "correct": result.accuracy.correct,
        "images": result.accuracy.total,
        "qualifies": result.qualifies,
        "score": result.score.total,
        "storage_score": result.score.storage,
        "math_score": result.score.math,
        "parameters": result.storage.parameters,
        "nonzero": result.storage.nonzero,
        "param_bits": None if widths is None else widths.param_bits,
        "mul_bits": None if widths is None else widths.mul_bits,
        "scorer_version": result.scorer.version,
        "finished_at": now(),
    }


def searched(team: str | None, name: str | None) -> str:
    """What a search looks in: it finds letters of either case, and nothing across the line's end."""
    return "\n".join(text.casefold() for text in (team, name) if text is not None)
