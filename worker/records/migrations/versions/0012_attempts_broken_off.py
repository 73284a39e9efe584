"""An index of the few entries of logs that tell of attempts broken off: who watches a server has them counted."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_BROKEN_OFF = sa.text("event IN ('lost', 'given-back')")


def upgrade() -> None:
    """To this version."""
    op.create_index(
        "ix_job_log_broken_off", "job_log", ["event"], sqlite_where=_BROKEN_OFF, postgresql_where=_BROKEN_OFF
    )


def downgrade() -> None:
    """Back to the version before."""
    op.drop_index("ix_job_log_broken_off", "job_log")
