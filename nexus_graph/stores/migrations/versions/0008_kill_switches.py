"""Kill switches."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "kill_switches",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("switch_id", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("engaged_by", sa.String(), nullable=False),
        sa.Column("engaged_at", sa.BigInteger(), nullable=False),
        sa.Column("released_by", sa.String(), nullable=True),
        sa.Column("released_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "env", "switch_id"),
    )
    op.create_index(
        "kill_switches_by_engaging", "kill_switches", ["tenant_id", "env", "engaged_at", "switch_id"], unique=False
    )
    op.create_index(
        "kill_switches_engaged",
        "kill_switches",
        ["tenant_id", "env", "target", "name"],
        unique=True,
        sqlite_where=sa.text("released_at IS NULL"),
        postgresql_where=sa.text("released_at IS NULL"),
    )
