"""What pages show beside a job's record: what happened to it, how fast its stage is, and what scores are found by."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    op.add_column("jobs", sa.Column("progress_rate", sa.Float(), nullable=True))
    op.create_table(
        "job_log",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_job_log")),
    )
    op.create_index("ix_job_log_job_id_seq", "job_log", ["job_id", "seq"])
    op.add_column("scores", sa.Column("searched", sa.Text(), nullable=False, server_default=""))
    _fill_searched()


def _fill_searched() -> None:
    """Of the scores that are there: no database folds case as Python does."""
    scores = sa.table("scores", *map(sa.column, ("job_id", "team", "name", "searched")))
    connection = op.get_bind()
    for row in connection.execute(sa.select(scores.c.job_id, scores.c.team, scores.c.name)).all():
        text = "\n".join(word.casefold() for word in (row.team, row.name) if word is not None)
        connection.execute(sa.update(scores).where(scores.c.job_id == row.job_id).values(searched=text))


def downgrade() -> None:
    """Back to the version before."""
    with op.batch_alter_table("scores") as batch:
        batch.drop_column("searched")
    op.drop_index("ix_job_log_job_id_seq", "job_log")
    op.drop_table("job_log")
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("progress_rate")
