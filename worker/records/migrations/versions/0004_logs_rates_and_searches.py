"""What pages show beside a job's record: what happened to it, and how fast its stage is."""

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


def downgrade() -> None:
    """Back to the version before."""
    op.drop_index("ix_job_log_job_id_seq", "job_log")
    op.drop_table("job_log")
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("progress_rate")
