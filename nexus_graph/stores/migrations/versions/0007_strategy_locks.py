"""Strategy locks."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "strategy_locks",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("lock_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=True),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("card_type", sa.String(), nullable=True),
        sa.Column("change_digest", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("concerns", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("class_actions", sa.String(), nullable=True),
        sa.Column("class_card_types", sa.String(), nullable=True),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("most_uses", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("authors", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("pii_flags", sa.String(), nullable=False),
        sa.Column("train_ok", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "env", "lock_id"),
    )
    op.create_index(
        "strategy_locks_by_state", "strategy_locks", ["tenant_id", "env", "state", "expires_at"], unique=False
    )
    op.create_index(
        "strategy_locks_by_time", "strategy_locks", ["tenant_id", "env", "proposed_at", "lock_id"], unique=False
    )
