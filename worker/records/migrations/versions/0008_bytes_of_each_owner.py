"""How many bytes each owner holds, in a row of its own: a quota is asked for with every file, and was added up anew."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    op.create_table(
        "stored_bytes",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_stored_bytes")),
    )
    op.execute(
        "INSERT INTO stored_bytes (owner, bytes) SELECT holdings.owner, SUM(blobs.size) FROM holdings "
        "JOIN blobs ON blobs.sha256 = holdings.sha256 GROUP BY holdings.owner"
    )


def downgrade() -> None:
    """Back to the version before."""
    op.drop_table("stored_bytes")
