"""Exports."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_EXPORT = ["tenant_id", "env", "export_id"]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "exports",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("export_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("spec", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("covered", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("included", sa.BigInteger(), nullable=False),
        sa.Column("excluded", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=False),
        sa.Column("manifest_digest", sa.String(), nullable=True),
        sa.Column("manifest_size", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "env", "export_id"),
    )
    op.create_index("exports_by_request", "exports", ["tenant_id", "env", "requested_at", "export_id"], unique=False)
    op.create_table(
        "export_parts",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("export_id", sa.String(), nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("records", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(_EXPORT, [f"exports.{name}" for name in _EXPORT], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "env", "export_id", "part"),
    )
    op.create_table(
        "export_records",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("export_id", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("layer", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(_EXPORT, [f"exports.{name}" for name in _EXPORT], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "env", "export_id", "position"),
    )
