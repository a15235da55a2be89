"""What the ledger of erasures keeps is in the database too."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the column. Of older erasures the ledger outside alone has the entry."""
    op.add_column("erasures", sa.Column("ledger_entry", sa.String(), nullable=True))
