"""Which ruleset the flags of each scope follow."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "rulesets",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("ruleset", sa.String(), nullable=True),
        sa.Column("target", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("after", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "env"),
    )
