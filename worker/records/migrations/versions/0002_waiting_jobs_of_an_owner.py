"""An index of an owner's jobs by status: who asks how many wait does not count all that ever were."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    op.create_index("ix_jobs_owner_status", "jobs", ["owner", "status"])


def downgrade() -> None:
    """Back to the version before."""
    op.drop_index("ix_jobs_owner_status", "jobs")
