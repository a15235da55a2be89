"""Atoms."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "atoms",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("atom_id", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("op", sa.String(), nullable=False),
        sa.Column("op_version", sa.String(), nullable=False),
        sa.Column("params", sa.String(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("span", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("pii_flags", sa.String(), nullable=False),
        sa.Column("train_ok", sa.Boolean(), nullable=False),
        sa.Column("derived_at", sa.BigInteger(), nullable=False),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "env", "asset_id"],
            ["assets.tenant_id", "assets.env", "assets.asset_id"],
        ),
        sa.PrimaryKeyConstraint("tenant_id", "env", "atom_id"),
    )
    op.create_index(
        "atoms_by_asset",
        "atoms",
        ["tenant_id", "env", "asset_id", "op", "op_version", "params", "ordinal"],
        unique=False,
    )
