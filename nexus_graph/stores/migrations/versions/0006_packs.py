"""Packs."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "packs",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("pack_id", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("pii_flags", sa.String(), nullable=False),
        sa.Column("train_ok", sa.Boolean(), nullable=False),
        sa.Column("first_served_at", sa.BigInteger(), nullable=False),
        sa.Column("first_served_by", sa.String(), nullable=False),
        sa.Column("erased", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "env", "pack_id"),
    )
    op.create_index("packs_by_first_served", "packs", ["tenant_id", "env", "first_served_at", "pack_id"], unique=False)
    op.create_table(
        "pack_cards",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("pack_id", sa.String(), nullable=False),
        sa.Column("card_id", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "env", "pack_id"], ["packs.tenant_id", "packs.env", "packs.pack_id"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", "env", "pack_id", "card_id", "version"),
    )
    op.create_index("pack_cards_by_card", "pack_cards", ["tenant_id", "env", "card_id", "version"], unique=False)
