"""When a copy of vectors was used last, and whether it was offloaded."""

import sqlalchemy as sa
from alembic import op

from nexus_graph.scope.clock import micros, system_clock

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add the columns; a copy that is there counts as used now, since nobody knows when it was."""
    used = str(micros(system_clock()))
    op.add_column("index_copies", sa.Column("used_at", sa.BigInteger(), nullable=False, server_default=used))
    op.add_column("index_copies", sa.Column("offloaded_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("index_copies", sa.Column("contents", sa.String(), nullable=False, server_default=""))
