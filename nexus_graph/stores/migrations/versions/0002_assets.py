"""Assets."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "assets",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("captured_at", sa.BigInteger(), nullable=True),
        sa.Column("capture_location", sa.String(), nullable=True),
        sa.Column("source_ref", sa.String(), nullable=True),
        sa.Column("pii_flags", sa.String(), nullable=False),
        sa.Column("declared_train_ok", sa.Boolean(), nullable=False),
        sa.Column("train_ok", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("duplicate_of", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "env", "asset_id"),
    )
    op.create_index("assets_by_creation", "assets", ["tenant_id", "env", "created_at", "asset_id"], unique=False)
    op.create_index(
        "assets_by_expiry",
        "assets",
        ["tenant_id", "env", "expires_at"],
        unique=False,
        sqlite_where=sa.text("state = 'RESERVED'"),
        postgresql_where=sa.text("state = 'RESERVED'"),
    )
    op.create_index(
        "assets_sealed_once",
        "assets",
        ["tenant_id", "env", "sha256"],
        unique=True,
        sqlite_where=sa.text("state = 'SEALED'"),
        postgresql_where=sa.text("state = 'SEALED'"),
    )
