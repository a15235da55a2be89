"""When a journal grew last, so that who follows many of them looks at those alone that moved."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the column; what is there already moved at an unknown time, long ago."""
    op.add_column("journal_heads", sa.Column("moved_at", sa.BigInteger(), nullable=False, server_default="0"))
