"""Indexes that have the entries of a board in order of merit: to rank, count or page puts nothing in order."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_MERIT = (sa.text("qualifies DESC"), "score", "finished_at", "job_id", "team")


def upgrade() -> None:
    """To this version."""
    op.create_index("ix_scores_track_policy_merit", "scores", ["track", "policy", *_MERIT])
    op.create_index("ix_scores_track_merit", "scores", ["track", *_MERIT])
    op.drop_index("ix_scores_track_qualifies_score", "scores")


def downgrade() -> None:
    """Back to the version before."""
    op.create_index("ix_scores_track_qualifies_score", "scores", ["track", "qualifies", "score"])
    op.drop_index("ix_scores_track_merit", "scores")
    op.drop_index("ix_scores_track_policy_merit", "scores")
