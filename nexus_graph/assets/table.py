"""The assets' rows and their SQL. Metadata only: the bytes are objects, the database never sees them."""

from __future__ import annotations

from typing import Any

from nexus_graph.assets.model import Asset, AssetFilter, AssetState, media_type
from nexus_graph.safeguards.consent.table import allowed
from nexus_graph.scope.canonical import canonical
from nexus_graph.scope.clock import micros, moment
from nexus_graph.scope.handling import Handling, kept
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement

FIND = Statement("select * from assets where tenant_id = :tenant_id and env = :env and asset_id = :asset_id")
FIND_MANY = Statement(
    "select * from assets where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...) "
    "and state <> 'PURGED'"
)
FIND_SEALED = Statement(
    "select * from assets where tenant_id = :tenant_id and env = :env and sha256 = :sha256 and state = 'SEALED'"
)
SEALED_ALREADY = Statement(
    "select sha256 from assets where tenant_id = :tenant_id and env = :env and sha256 in (:sha256s...) "
    "and state = 'SEALED'"
)
HELD = Statement(
    "select coalesce(sum(case when state = 'SEALED' then 1 else 0 end), 0) as assets, "
    "coalesce(sum(case when state = 'SEALED' then size else 0 end), 0) as bytes, "
    "count(*) as all_assets, coalesce(sum(size), 0) as all_bytes "
    "from assets where tenant_id = :tenant_id and env = :env and state <> 'PURGED'"
)
STATES = Statement(
    "select asset_id, state from assets where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...)"
)
SCOPES_OF_EXPIRED = (
    "select distinct tenant_id, env from assets where state = 'RESERVED' and expires_at <= :now order by tenant_id, env"
)
EXPIRED = Statement(
    "select * from assets where tenant_id = :tenant_id and env = :env and state = 'RESERVED' and expires_at <= :now "
    "order by expires_at limit :most"
)
ADD = Statement(
    "insert into assets (tenant_id, env, asset_id, filename, content_type, media_type, size, sha256, state, "
    "captured_at, capture_location, source_ref, pii_flags, declared_train_ok, train_ok, created_by, created_at, "
    "expires_at, object_key) "
    "values (:tenant_id, :env, :asset_id, :filename, :content_type, :media_type, :size, :sha256, 'RESERVED', "
    ":captured_at, :capture_location, :source_ref, :pii_flags, :declared_train_ok, :train_ok, :created_by, "
    ":created_at, :expires_at, :object_key) returning *"
)
SEAL = Statement(
    "update assets set state = 'SEALED', sealed_at = :now "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id and state = 'RESERVED' returning *"
)
# A purged row keeps nothing of what the caller wrote.
PURGE = Statement(
    "update assets set state = 'PURGED', filename = '', capture_location = null, source_ref = null, pii_flags = '[]', "
    "object_key = '', duplicate_of = :duplicate_of "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id and state = 'RESERVED' returning *"
)
HOLD = Statement(
    "update assets set asset_id = asset_id "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id returning *"
)
LABEL = Statement(
    "update assets set pii_flags = :pii_flags, declared_train_ok = declared_train_ok and :train_ok, "
    "train_ok = train_ok and :train_ok "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id returning *"
)


# Assets that were found inside others

_PARTS = (
    "select part.* from asset_parts part "
    "join assets parent on parent.tenant_id = part.tenant_id and parent.env = part.env "
    "and parent.asset_id = part.parent_id and parent.state = 'SEALED' "
    "join assets asset on asset.tenant_id = part.tenant_id and asset.env = part.env "
    "and asset.asset_id = part.asset_id and asset.state = 'SEALED' "
    "where part.tenant_id = :tenant_id and part.env = :env"
)
PARTS = f"{_PARTS} and part.parent_id = :asset_id"
"""The parts of an asset; ends inside its WHERE clause."""
PART_OF = f"{_PARTS} and part.asset_id = :asset_id"
"""What an asset is a part of; ends inside its WHERE clause."""

PUT_PART = Statement(
    "insert into asset_parts (tenant_id, env, parent_id, position, asset_id, place, filename, brought) "
    "values (:tenant_id, :env, :parent_id, :position, :asset_id, :place, :filename, :brought) "
    "on conflict (tenant_id, env, parent_id, position) do update "
    "set asset_id = :asset_id, place = :place, filename = :filename, brought = :brought"
)
FIND_PART = Statement(
    "select * from asset_parts where tenant_id = :tenant_id and env = :env "
    "and parent_id = :parent_id and position = :position"
)
COUNT_PARTS = Statement(
    "select parent_id, count(*) as parts from asset_parts "
    "where tenant_id = :tenant_id and env = :env and parent_id in (:parent_ids...) group by parent_id"
)
PART_DEPTH = Statement(
    "with recursive above (asset_id, depth) as (select asset_id, 0 from assets "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id union "
    "select part.parent_id, above.depth + 1 from asset_parts part join above on part.asset_id = above.asset_id "
    "where part.tenant_id = :tenant_id and part.env = :env and above.depth < :deepest) select max(depth) from above"
)
WITHHOLD = Statement(
    "with recursive below (asset_id) as (select asset_id from assets "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id union "
    "select part.asset_id from asset_parts part join below on part.parent_id = below.asset_id "
    "where part.tenant_id = :tenant_id and part.env = :env) "
    "update assets set train_ok = false where tenant_id = :tenant_id and env = :env and train_ok "
    "and asset_id in (select asset_id from below)"
)
LOST_PARTS = Statement(
    "select part.parent_id, part.position, coalesce(asset.state, '') = 'SEALED' as is_here from asset_parts part "
    "left join assets parent on parent.tenant_id = part.tenant_id and parent.env = part.env "
    "and parent.asset_id = part.parent_id "
    "left join assets asset on asset.tenant_id = part.tenant_id and asset.env = part.env "
    "and asset.asset_id = part.asset_id where part.tenant_id = :tenant_id and part.env = :env "
    "and (coalesce(parent.state, '') <> 'SEALED' or coalesce(asset.state, '') <> 'SEALED') "
    "order by part.parent_id, part.position"
)

_PARENTS = (
    "select 1 from asset_parts part join assets parent on parent.tenant_id = part.tenant_id "
    "and parent.env = part.env and parent.asset_id = part.parent_id"
)
_WITHHELD_BY_THEMSELVES = (
    "with recursive withheld (asset_id) as (select assets.asset_id from assets "
    "where assets.tenant_id = :tenant_id and assets.env = :env and assets.state <> 'PURGED'"
)
_AND_ALL_BELOW = (
    "union select part.asset_id from asset_parts part join withheld on part.parent_id = withheld.asset_id "
    "where part.tenant_id = :tenant_id and part.env = :env)"
)
_FLIP = "update assets set train_ok = not train_ok where tenant_id = :tenant_id and env = :env and state <> 'PURGED'"
_WITHHELD = "(select asset_id from withheld)"
REEVALUATE = Statement(
    f"{_WITHHELD_BY_THEMSELVES} and not (assets.declared_train_ok and {allowed('assets.created_by')}) "
    f"{_AND_ALL_BELOW} {_FLIP} and train_ok <> (asset_id not in {_WITHHELD}) returning asset_id"
)


def parents_allow(asset: str) -> str:
    """SQL: whether all that a row of `assets` is a part of allows training."""
    return (
        f"not exists ({_PARENTS} where part.tenant_id = {asset}.tenant_id and part.env = {asset}.env "
        f"and part.asset_id = {asset}.asset_id and not parent.train_ok)"
    )


def listed(asset_filter: AssetFilter) -> tuple[str, dict[str, Any]]:
    """The SELECT of a filter, open at the end for paging by (created_at, asset_id), and its values."""
    sql = "select * from assets where tenant_id = :tenant_id and env = :env and state <> 'PURGED'"
    values: dict[str, Any] = {}
    if asset_filter.states:
        sql += " and state in (:states...)"
        values["states"] = [state.value for state in asset_filter.states]
    if asset_filter.content_types:
        sql += " and media_type in (:content_types...)"
        values["content_types"] = [media_type(content_type) for content_type in asset_filter.content_types]
    if asset_filter.created_from is not None:
        sql += " and created_at >= :created_from"
        values["created_from"] = micros(asset_filter.created_from)
    if asset_filter.created_to is not None:
        sql += " and created_at < :created_to"
        values["created_to"] = micros(asset_filter.created_to)
    return sql, values


def asset(row: Row) -> Asset:
    """The asset in a row."""
    captured, sealed = row["captured_at"], row["sealed_at"]
    return Asset(
        asset_id=row["asset_id"],
        filename=row["filename"],
        content_type=row["content_type"],
        size=row["size"],
        sha256=row["sha256"],
        state=AssetState(row["state"]),
        captured_at=None if captured is None else moment(captured),
        capture_location=row["capture_location"],
        source_ref=row["source_ref"],
        handling=kept(row["pii_flags"], bool(row["train_ok"])),
        created_by=row["created_by"],
        created_at=moment(row["created_at"]),
        sealed_at=None if sealed is None else moment(sealed),
        expires_at=moment(row["expires_at"]),
        object_key=row["object_key"],
        declared_train_ok=bool(row["declared_train_ok"]),
    )


def flags(handling: Handling) -> str:
    """The kinds of personal data as a row keeps them."""
    return canonical([*handling.pii_flags]).decode()
