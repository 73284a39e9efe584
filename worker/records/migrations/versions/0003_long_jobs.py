"""Jobs without a checkpoint or with several files, and journals that long jobs go on from."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    with op.batch_alter_table("jobs") as batch:
        batch.alter_column("checkpoint_sha256", existing_type=sa.String(length=64), nullable=True)
        batch.alter_column("checkpoint_size", existing_type=sa.BigInteger(), nullable=True)
        batch.add_column(sa.Column("attempts_before", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "job_files",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "sha256", name=op.f("pk_job_files")),
    )
    op.create_index("ix_job_files_sha256", "job_files", ["sha256"])
    op.create_table(
        "journal",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("written_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "name", name=op.f("pk_journal")),
        sa.UniqueConstraint("location", name=op.f("uq_journal_location")),
    )


def downgrade() -> None:
    """Back to the version before, which knows no job without a checkpoint."""
    op.drop_table("journal")
    op.drop_index("ix_job_files_sha256", "job_files")
    op.drop_table("job_files")
    op.execute("DELETE FROM jobs WHERE checkpoint_sha256 IS NULL")
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("attempts_before")
        batch.alter_column("checkpoint_size", existing_type=sa.BigInteger(), nullable=False)
        batch.alter_column("checkpoint_sha256", existing_type=sa.String(length=64), nullable=False)
