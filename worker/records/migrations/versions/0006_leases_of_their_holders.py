"""How long the silence of whoever has a job, and of a worker, may last: each says it of himself."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version. What is held by a worker of an older one says nothing, and is timed as it was: by who looks."""
    op.add_column("jobs", sa.Column("lease_seconds", sa.Float(), nullable=True))
    op.add_column("workers", sa.Column("lease_seconds", sa.Float(), nullable=True))


def downgrade() -> None:
    """Back to the version before."""
    with op.batch_alter_table("workers") as batch:
        batch.drop_column("lease_seconds")
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("lease_seconds")
