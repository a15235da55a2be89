"""Which assets were found inside which others."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "asset_parts",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("parent_id", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("brought", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "env", "parent_id"],
            ["assets.tenant_id", "assets.env", "assets.asset_id"],
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "env", "asset_id"],
            ["assets.tenant_id", "assets.env", "assets.asset_id"],
        ),
        sa.PrimaryKeyConstraint("tenant_id", "env", "parent_id", "position"),
    )
    op.create_index(
        "asset_parts_by_asset", "asset_parts", ["tenant_id", "env", "asset_id", "parent_id", "position"], unique=False
    )
