"""Between rows of the table and values."""

import json
from typing import Any

from sqlalchemy import Row

from worker.records.clock import now
from worker.records.turns import party_of
from worker.records.values import Artifact, Checkpoint, Job, JobError, NewJob, Stage, Status


def job_of(row: Row[*tuple[Any, ...]]) -> Job:
    """The job a row of `jobs` holds."""
    return Job(
        id=row.id,
        seq=row.seq,
        kind=row.kind,
        lane=row.lane,
        status=Status(row.status),
        owner=row.owner,
        team=row.team,
        name=row.name,
        settings=row.settings,
        checkpoint=_checkpoint(row),
        attempt=row.attempt,
        attempts_before=row.attempts_before,
        version=row.version,
        stage=_stage(row),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        result=row.result,
        error=None if row.error is None else JobError.model_validate_json(row.error),
        artifacts=tuple(Artifact(**artifact) for artifact in json.loads(row.artifacts)),
        claim=row.claim,
        worker=row.worker,
    )


def columns_of(new: NewJob) -> dict[str, object]:
    """The columns of a job that is accepted now."""
    return {
        "id": new.id,
        "kind": new.kind,
        "lane": new.lane,
        "status": Status.QUEUED,
        "owner": new.owner,
        "team": new.team,
        "party": party_of(new),
        "name": new.name,
        "settings": new.settings,
        "checkpoint_sha256": new.checkpoint and new.checkpoint.sha256,
        "checkpoint_size": new.checkpoint and new.checkpoint.size,
        "checkpoint_filename": new.checkpoint and new.checkpoint.filename,
        "attempt": 0,
        "version": 1,
        "beat": 0,
        "created_at": now(),
        "artifacts": "[]",
    }


def stage_columns(stage: Stage | None) -> dict[str, object]:
    """The columns that say where a job is."""
    return {
        "stage_name": stage and stage.name,
        "stage_index": stage and stage.index,
        "stage_count": stage and stage.count,
        "progress_done": stage and stage.done,
        "progress_total": stage and stage.total,
        "progress_unit": stage and stage.unit,
        "progress_rate": stage and stage.rate,
    }


def artifacts_text(artifacts: tuple[Artifact, ...]) -> str:
    """Artifacts as the table keeps them."""
    return json.dumps([artifact.model_dump() for artifact in artifacts])


def _checkpoint(row: Row[*tuple[Any, ...]]) -> Checkpoint | None:
    if row.checkpoint_sha256 is None:
        return None
    return Checkpoint(sha256=row.checkpoint_sha256, size=row.checkpoint_size, filename=row.checkpoint_filename)


def _stage(row: Row[*tuple[Any, ...]]) -> Stage | None:
    if row.stage_name is None:
        return None
    return Stage(
        row.stage_name,
        row.stage_index,
        row.stage_count,
        row.progress_done,
        row.progress_total,
        row.progress_unit,
        row.progress_rate,
    )
