"""The atoms' row and its SQL. The text of an atom is derived, so it lives here; the raw bytes never do.

An atom is seen as long as its asset is sealed, and never with more consent than its asset has now.
"""

from __future__ import annotations

from datetime import datetime

import orjson

from nexus_graph.assets import Asset
from nexus_graph.atoms.model import Atom, AtomIds, Omitted, Params, Reading, Recipe, Span
from nexus_graph.atoms.outcome import DerivationState, Outcome
from nexus_graph.atoms.recipes import Kind
from nexus_graph.scope.canonical import Json, canonical, sha256
from nexus_graph.scope.clock import micros, moment
from nexus_graph.scope.handling import kept
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement, Value

ORDER = ("atom.op", "atom.op_version", "atom.params", "atom.ordinal")
"""By derivation, and then as in the file: unique within an asset."""

_VISIBLE = (
    "select atom.*, asset.train_ok as asset_train_ok from atoms atom "
    "join assets asset on asset.tenant_id = atom.tenant_id and asset.env = atom.env and asset.asset_id = atom.asset_id "
    "where atom.tenant_id = :tenant_id and atom.env = :env and asset.state = 'SEALED'"
)
FIND_MANY = Statement(f"{_VISIBLE} and atom.atom_id in (:atom_ids...)")
OF_ASSET = f"{_VISIBLE} and atom.asset_id = :asset_id"
FRESH_OF_ASSET = f"{OF_ASSET} and not atom.stale"

STALE = Statement(
    "select atom_id from atoms where tenant_id = :tenant_id and env = :env and atom_id in (:atom_ids...) and stale"
)
KEPT = Statement(
    "select atom_id from atoms where tenant_id = :tenant_id and env = :env and asset_id = :asset_id "
    "and op = :op and op_version = :op_version and params = :params"
)
MISLABELLED = Statement(
    "select count(*) from atoms where tenant_id = :tenant_id and env = :env and asset_id = :asset_id "
    "and op = :op and stale <> (op_version <> :op_version)"
)
RELABEL = Statement(
    "update atoms set stale = (op_version <> :op_version) "
    "where tenant_id = :tenant_id and env = :env and asset_id = :asset_id "
    "and op = :op and stale <> (op_version <> :op_version) returning stale"
)
ADD = Statement(
    "insert into atoms (tenant_id, env, atom_id, asset_id, op, op_version, params, ordinal, kind, span, text, digest, "
    "pii_flags, train_ok, derived_at, stale) values (:tenant_id, :env, :atom_id, :asset_id, :op, :op_version, :params, "
    ":ordinal, :kind, :span, :text, :digest, :pii_flags, :train_ok, :derived_at, false) "
    "on conflict (tenant_id, env, atom_id) do nothing"
)

OUTCOMES = Statement(
    "select outcome.* from asset_derivations outcome join assets asset on asset.tenant_id = outcome.tenant_id "
    "and asset.env = outcome.env and asset.asset_id = outcome.asset_id and asset.state = 'SEALED' "
    "where outcome.tenant_id = :tenant_id and outcome.env = :env and outcome.asset_id in (:asset_ids...)"
)
EVERY_OUTCOME = Statement(
    "select outcome.* from asset_derivations outcome join assets asset on asset.tenant_id = outcome.tenant_id "
    "and asset.env = outcome.env and asset.asset_id = outcome.asset_id and asset.state = 'SEALED' "
    "where outcome.tenant_id = :tenant_id and outcome.env = :env and outcome.asset_id > :after "
    "order by outcome.asset_id limit :most"
)
PUT_OUTCOME = Statement(
    "insert into asset_derivations (tenant_id, env, asset_id, state, reason, left_out, media_type, kind_reason, op, "
    "op_version, atoms, derived_at) values (:tenant_id, :env, :asset_id, :state, :reason, :left_out, :media_type, "
    ":kind_reason, :op, :op_version, :atoms, :derived_at) on conflict (tenant_id, env, asset_id) do update set "
    "state = :state, reason = :reason, left_out = :left_out, media_type = :media_type, kind_reason = :kind_reason, "
    "op = :op, op_version = :op_version, atoms = :atoms, derived_at = :derived_at"
)

# What the check compares

WHOLE_ATOMS = Statement(
    "select atom.*, asset.sha256 as asset_sha256 from atoms atom left join assets asset "
    "on asset.tenant_id = atom.tenant_id and asset.env = atom.env and asset.asset_id = atom.asset_id "
    "and asset.state = 'SEALED' where atom.tenant_id = :tenant_id and atom.env = :env and atom.atom_id > :after "
    "order by atom.atom_id limit :most"
)
DERIVATIONS = Statement(
    "select event.seq, event.subject_id as asset_id, event.payload from journal_events event "
    "join assets asset on asset.tenant_id = event.tenant_id and asset.env = event.env "
    "and asset.asset_id = event.subject_id and asset.state = 'SEALED' "
    "where event.tenant_id = :tenant_id and event.env = :env and event.action = 'atoms.derived' "
    "and event.seq > :after order by event.seq limit :most"
)
COUNTS = Statement(
    "select asset_id, op, op_version, params, count(*) as atoms from atoms "
    "where tenant_id = :tenant_id and env = :env and asset_id in (:asset_ids...) "
    "group by asset_id, op, op_version, params"
)
PUT = Statement(
    "insert into atoms (tenant_id, env, atom_id, asset_id, op, op_version, params, ordinal, kind, span, text, digest, "
    "pii_flags, train_ok, derived_at, stale) values (:tenant_id, :env, :atom_id, :asset_id, :op, :op_version, :params, "
    ":ordinal, :kind, :span, :text, :digest, :pii_flags, :train_ok, :derived_at, false) "
    "on conflict (tenant_id, env, atom_id) do update set asset_id = :asset_id, op = :op, op_version = :op_version, "
    "params = :params, ordinal = :ordinal, kind = :kind, span = :span, text = :text, digest = :digest, "
    "pii_flags = :pii_flags, train_ok = :train_ok, stale = false"
)
FORGET = Statement("delete from atoms where tenant_id = :tenant_id and env = :env and atom_id = :atom_id")


def atom(row: Row) -> Atom:
    """The atom in a row of a SELECT above."""
    return Atom(
        id=row["atom_id"],
        asset_id=row["asset_id"],
        op=row["op"],
        op_version=row["op_version"],
        params=orjson.loads(row["params"]),
        ordinal=row["ordinal"],
        span=Span(**orjson.loads(row["span"])),
        kind=row["kind"],
        text=row["text"],
        digest=row["digest"],
        handling=kept(row["pii_flags"], bool(row["train_ok"] and row["asset_train_ok"])),
        derived_at=moment(row["derived_at"]),
        stale=bool(row["stale"]),
    )


def new_rows(asset: Asset, recipe: Recipe, params: Params, reading: Reading, now: datetime) -> list[dict[str, Value]]:
    """The rows of what was read, with the consent that the asset has now."""
    ids = AtomIds(asset.sha256, recipe.op, recipe.version, params)
    shared: dict[str, Value] = {
        "asset_id": asset.asset_id,
        "op": recipe.op,
        "op_version": recipe.version,
        "params": parameters(params),
        "train_ok": asset.handling.train_ok,
        "derived_at": micros(now),
    }
    flags = {found: canonical([*found]).decode() for found in set(reading.pii_flags)}
    rows: list[dict[str, Value]] = []
    for draft, found in zip(reading.drafts, reading.pii_flags, strict=True):
        span = canonical(draft.span.as_json())
        rows.append(
            {
                **shared,
                "atom_id": ids.of(span),
                "ordinal": draft.ordinal,
                "kind": draft.kind,
                "span": span.decode(),
                "text": draft.text,
                "digest": sha256(draft.text.encode()),
                "pii_flags": flags[found],
            }
        )
    return rows


def parameters(params: Params) -> str:
    """Parameters as a row keeps them."""
    return canonical(params).decode()


def outcome(row: Row) -> Outcome:
    """The outcome in a row."""
    media_type = row["media_type"]
    return Outcome(
        state=DerivationState(row["state"]),
        reason=row["reason"],
        left_out=tuple(
            Omitted(omitted["what"], tuple(omitted["places"]), omitted["count"])
            for omitted in orjson.loads(row["left_out"])
        ),
        kind=None if media_type is None else Kind(media_type, row["kind_reason"]),
        op=row["op"],
        op_version=row["op_version"],
        atoms=row["atoms"],
        at=moment(row["derived_at"]),
    )


def outcome_values(outcome: Outcome, now: datetime) -> dict[str, Value]:
    """The row of an outcome, but for its asset."""
    left_out: list[Json] = [
        {"what": omitted.what, "places": [*omitted.places], "count": omitted.count} for omitted in outcome.left_out
    ]
    return {
        "state": outcome.state.value,
        "reason": outcome.reason,
        "left_out": canonical(left_out).decode(),
        "media_type": None if outcome.kind is None else outcome.kind.media_type,
        "kind_reason": None if outcome.kind is None else outcome.kind.reason,
        "op": outcome.op,
        "op_version": outcome.op_version,
        "atoms": outcome.atoms,
        "derived_at": micros(outcome.at or now),
    }
