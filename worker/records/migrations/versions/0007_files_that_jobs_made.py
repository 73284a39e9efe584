"""What each job made, with an index: who asks which jobs made a file does not look through the records of all."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    op.create_table(
        "job_artifacts",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "sha256", name=op.f("pk_job_artifacts")),
    )
    op.create_index("ix_job_artifacts_sha256", "job_artifacts", ["sha256"])
    _fill()


def _fill() -> None:
    """With what the jobs that are there made."""
    jobs = sa.table("jobs", *map(sa.column, ("id", "artifacts")))
    job_artifacts = sa.table("job_artifacts", *map(sa.column, ("job_id", "sha256")))
    connection = op.get_bind()
    made = connection.execute(sa.select(jobs.c.id, jobs.c.artifacts).where(jobs.c.artifacts != "[]")).all()
    pairs = {(row.id, artifact["sha256"]) for row in made for artifact in json.loads(row.artifacts)}
    if pairs:
        rows = [{"job_id": job_id, "sha256": sha256} for job_id, sha256 in sorted(pairs)]
        connection.execute(sa.insert(job_artifacts), rows)


def downgrade() -> None:
    """Back to the version before."""
    op.drop_index("ix_job_artifacts_sha256", "job_artifacts")
    op.drop_table("job_artifacts")
