"""An index of an owner's jobs by kind: who lists a kind of which there are few does not have all others looked at.

With their status, last, for who asks for both: databases would else look at every job of the kind.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    op.create_index("ix_jobs_owner_kind_seq_status", "jobs", ["owner", "kind", "seq", "status"])


def downgrade() -> None:
    """Back to the version before."""
    op.drop_index("ix_jobs_owner_kind_seq_status", "jobs")
