"""An index for PostgreSQL of how the ids of jobs begin: its other one has them in the order of the database's language.

In some languages what begins alike does not stand together: in Danish `aa` comes after `z`.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_jobs_id_beginning", "jobs", ["id"], postgresql_ops={"id": "varchar_pattern_ops"})


def downgrade() -> None:
    """Back to the version before."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_jobs_id_beginning", "jobs")
