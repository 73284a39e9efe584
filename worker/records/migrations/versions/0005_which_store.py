"""Which store of files these records are of: a sweep of another one would delete all that is in it."""

from secrets import token_hex

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this version."""
    op.create_table(
        "store",
        sa.Column("identity", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_store")),
    )
    op.get_bind().execute(sa.insert(sa.table("store", sa.column("identity"))).values(identity=token_hex(16)))


def downgrade() -> None:
    """Back to the version before."""
    op.drop_table("store")
