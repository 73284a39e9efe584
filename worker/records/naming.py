"""Which files the jobs of an owner name: sent or used as a checkpoint, named by settings beside it, or made."""

from sqlalchemy import Connection, Text, bindparam, func, select

from worker.records.tables import job_artifacts, job_files, jobs

_NAMED, _OWNER = bindparam("sha256", type_=Text), bindparam("owner", type_=Text)
_OWNED = func.coalesce(jobs.c.owner, "") == _OWNER  # found by the file: an index of owners has every job of a large one
_JOB = select(jobs.c.seq).where(_OWNED).limit(1)
_WAYS = (
    _JOB.where(jobs.c.checkpoint_sha256 == _NAMED),
    _JOB.join(job_files, job_files.c.job_id == jobs.c.id).where(job_files.c.sha256 == _NAMED),
    _JOB.join(job_artifacts, job_artifacts.c.job_id == jobs.c.id).where(job_artifacts.c.sha256 == _NAMED),
)


def is_named(connection: Connection, sha256: str, owner: str) -> bool:
    """Whether a job of `owner` names the file."""
    asked = {"sha256": sha256, "owner": owner}
    return any(connection.execute(way, asked).first() is not None for way in _WAYS)
