"""What became of each asset when it was read last."""

from collections.abc import Iterator
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_NO_WORD = "no text read: an earlier version kept no reason; derive it again"


def upgrade() -> None:
    """Make the table, and fill it with what the journal tells of the assets that are here."""
    derivations = op.create_table(
        "asset_derivations",
        sa.Column("tenant_id", sa.String(), nullable=False),
        sa.Column("env", sa.String(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("left_out", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=True),
        sa.Column("kind_reason", sa.String(), nullable=True),
        sa.Column("op", sa.String(), nullable=True),
        sa.Column("op_version", sa.String(), nullable=True),
        sa.Column("atoms", sa.BigInteger(), nullable=False),
        sa.Column("derived_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "env", "asset_id"],
            ["assets.tenant_id", "assets.env", "assets.asset_id"],
        ),
        sa.PrimaryKeyConstraint("tenant_id", "env", "asset_id"),
    )
    rows = [*_told(op.get_bind())]
    if rows:
        op.bulk_insert(derivations, rows)


def _told(database: sa.Connection) -> Iterator[dict[str, Any]]:
    last = (
        "select event.tenant_id, event.env, event.subject_id, event.action, event.payload, event.at "
        "from journal_events event join assets asset on asset.tenant_id = event.tenant_id and asset.env = event.env "
        "and asset.asset_id = event.subject_id and asset.state = 'SEALED' "
        "where event.action in ('atoms.derived', 'atoms.skipped', 'atoms.refused') and event.seq = ("
        "select max(later.seq) from journal_events later where later.tenant_id = event.tenant_id "
        "and later.env = event.env and later.subject_id = event.subject_id "
        "and later.action in ('atoms.derived', 'atoms.skipped', 'atoms.refused'))"
    )
    for event in database.execute(sa.text(last)).mappings():
        payload = orjson.loads(event["payload"] or "{}")
        output, said = payload.get("output") or {}, payload.get("input") or {}
        state, reason = _state(event["action"], output)
        yield {
            "tenant_id": event["tenant_id"],
            "env": event["env"],
            "asset_id": event["subject_id"],
            "state": state,
            "reason": reason,
            "left_out": "[]",
            "media_type": None,  # nobody looked at the bytes to decide it: deriving again may give something else
            "kind_reason": None,
            "op": said.get("op") or output.get("op"),
            "op_version": said.get("opVersion") or output.get("opVersion"),
            "atoms": output.get("atoms") or 0,
            "derived_at": event["at"],
        }


def _state(action: str, output: dict[str, Any]) -> tuple[str, str | None]:
    if action == "atoms.skipped":
        return "NO_RECIPE", "no text read: no recipe read this kind when it was tried"
    if action == "atoms.refused":
        return "REFUSED", str(output.get("message") or "an earlier version could not read it")
    return ("DONE", None) if output.get("atoms") else ("NO_TEXT", _NO_WORD)
