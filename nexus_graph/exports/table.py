"""The exports' rows and their SQL: what each covers, what was decided of every record, and its finished parts."""

from __future__ import annotations

import orjson

from nexus_graph.assets.table import parents_allow
from nexus_graph.cards.table import artifacts_allow
from nexus_graph.exports.model import Exclusion, Export, ExportKind, ExportState, Part, Reason
from nexus_graph.safeguards.consent.releasing import Layer, layers
from nexus_graph.safeguards.consent.table import allowed
from nexus_graph.scope.clock import moment
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement

# What an export covers

ADD = Statement(
    "insert into exports (tenant_id, env, export_id, run_id, state, spec, requested_by, requested_at, covered, "
    "position, included, excluded, parts) values (:tenant_id, :env, :export_id, :run_id, 'RUNNING', :spec, "
    ":requested_by, :requested_at, :covered, 0, 0, 0, 0)"
)
_CARDS = "from cards card where card.tenant_id = :tenant_id and card.env = :env and card.retired_at is null"
_ATOMS = (
    "from atoms atom join assets asset on asset.tenant_id = atom.tenant_id and asset.env = atom.env "
    "and asset.asset_id = atom.asset_id and asset.state = 'SEALED' "
    "where atom.tenant_id = :tenant_id and atom.env = :env and not atom.stale"
)
_COVER = "insert into export_records (tenant_id, env, export_id, position, kind, record_id, version)"
COUNT = {
    ExportKind.CARD: Statement(f"select count(*) {_CARDS}"),
    ExportKind.ATOM: Statement(f"select count(*) {_ATOMS}"),
}
COVER = {
    ExportKind.CARD: Statement(
        f"{_COVER} select :tenant_id, :env, :export_id, :after + row_number() over (order by card.card_id), 'CARD', "
        f"card.card_id, card.current_version {_CARDS}"
    ),
    ExportKind.ATOM: Statement(
        f"{_COVER} select :tenant_id, :env, :export_id, :after + row_number() over (order by atom.atom_id), 'ATOM', "
        f"atom.atom_id, 0 {_ATOMS}"
    ),
}

# The records of an export, joined with what is kept of them now

_OF_EXPORT = "where record.tenant_id = :tenant_id and record.env = :env and record.export_id = :export_id"
_CARD_RECORDS = (
    "from export_records record left join card_versions version on version.tenant_id = record.tenant_id "
    "and version.env = record.env and version.card_id = record.record_id and version.version = record.version "
    "left join cards card on card.tenant_id = version.tenant_id and card.env = version.env "
    f"and card.card_id = version.card_id {_OF_EXPORT} and record.kind = 'CARD'"
)
_ATOM_RECORDS = (
    "from export_records record left join atoms atom on atom.tenant_id = record.tenant_id and atom.env = record.env "
    "and atom.atom_id = record.record_id left join assets asset on asset.tenant_id = atom.tenant_id "
    f"and asset.env = atom.env and asset.asset_id = atom.asset_id {_OF_EXPORT} and record.kind = 'ATOM'"
)
_CARD_LAYERS = layers("version.created_by", "version.declared_train_ok", artifacts_allow("version"))
_ASSET_ALLOWS = f"(asset.declared_train_ok and {parents_allow('asset')})"
_ATOM_LAYERS = layers("asset.created_by", "true", _ASSET_ALLOWS)
_RANGE = "and record.position > :after and record.position <= :upto order by record.position"
CARDS = Statement(
    "select record.position, record.kind, record.record_id, record.version, card.card_type, version.text, "
    "version.body_start, version.title, version.header, version.labels, version.artifact_refs, version.pii_flags, "
    f"{_CARD_LAYERS} {_CARD_RECORDS} {_RANGE}"
)
ATOMS = Statement(
    "select record.position, record.kind, record.record_id, record.version, atom.asset_id, atom.op, atom.op_version, "
    "atom.params, atom.ordinal, atom.kind as atom_kind, atom.span, atom.text, atom.pii_flags, "
    f"{_ATOM_LAYERS} {_ATOM_RECORDS} {_RANGE}"
)
_CARD_WITHDRAWN = (
    "and record.part is not null and (version.card_id is null or not (version.declared_train_ok "
    f"and {allowed('version.created_by')} and {artifacts_allow('version')}))"
)
_ATOM_WITHDRAWN = (
    f"and record.part is not null and (atom.atom_id is null or not ({_ASSET_ALLOWS} and {allowed('asset.created_by')}))"
)
_FIRST = "select min(record.part)"
WITHDRAWN = (
    Statement(f"{_FIRST} {_CARD_RECORDS} {_CARD_WITHDRAWN}"),
    Statement(f"{_FIRST} {_ATOM_RECORDS} {_ATOM_WITHDRAWN}"),
)
"""The first part with a record that is withheld or gone by now. Take `:installation`."""
WITHDRAWN_OF_PART = (
    Statement(f"{_FIRST} {_CARD_RECORDS} {_CARD_WITHDRAWN} and record.part = :part"),
    Statement(f"{_FIRST} {_ATOM_RECORDS} {_ATOM_WITHDRAWN} and record.part = :part"),
)

# How far an export is

DECIDE = Statement(
    "update export_records set part = :part, digest = :digest, reason = :reason, layer = :layer "
    "where tenant_id = :tenant_id and env = :env and export_id = :export_id and position = :position"
)
ADD_PART = Statement(
    "insert into export_parts (tenant_id, env, export_id, part, digest, size, records, last_position) "
    "values (:tenant_id, :env, :export_id, :part, :digest, :size, :records, :last_position)"
)

ADVANCE = Statement(
    "update exports set position = :position, parts = :parts, included = included + :included, "
    "excluded = excluded + :excluded where tenant_id = :tenant_id and env = :env and export_id = :export_id "
    "and state = 'RUNNING' and position = :before and parts = :parts_before returning export_id"
)
FINISH = Statement(
    "update exports set state = 'DONE', finished_at = :now, manifest_digest = :digest, manifest_size = :size "
    "where tenant_id = :tenant_id and env = :env and export_id = :export_id "
    "and state = 'RUNNING' and position = :before and parts = :parts_before returning export_id"
)
PART_BEFORE = Statement(
    "select coalesce(max(last_position), 0) from export_parts "
    "where tenant_id = :tenant_id and env = :env and export_id = :export_id and part < :part"
)
FORGET_PARTS = Statement(
    "delete from export_parts where tenant_id = :tenant_id and env = :env and export_id = :export_id and part >= :part"
)
UNDECIDE = Statement(
    "update export_records set part = null, digest = null, reason = null, layer = null "
    "where tenant_id = :tenant_id and env = :env and export_id = :export_id and position > :position"
)
REWIND = Statement(
    "update exports set position = :position, parts = :part - 1, "
    "included = (select count(*) from export_records record where record.tenant_id = exports.tenant_id "
    "and record.env = exports.env and record.export_id = exports.export_id and record.part is not null), "
    "excluded = (select count(*) from export_records record where record.tenant_id = exports.tenant_id "
    "and record.env = exports.env and record.export_id = exports.export_id and record.reason is not null) "
    "where tenant_id = :tenant_id and env = :env and export_id = :export_id "
    "and state = 'RUNNING' and position = :before and parts = :parts_before returning export_id"
)
DECIDED = Statement(
    "select position, kind, record_id, version, part, digest, reason, layer from export_records "
    "where tenant_id = :tenant_id and env = :env and export_id = :export_id and position > :after "
    "order by position limit :most"
)
ALL_PARTS = Statement(
    "select part, digest, size, records from export_parts "
    "where tenant_id = :tenant_id and env = :env and export_id = :export_id order by part"
)

# What is told of it

EXPORTS = (
    "select export.*, run.status as run_status from exports export left join journal_runs run "
    "on run.tenant_id = export.tenant_id and run.env = export.env and run.run_id = export.run_id "
    "where export.tenant_id = :tenant_id and export.env = :env"
)
FIND_MANY = Statement(f"{EXPORTS} and export.export_id in (:ids...)")
PARTS = (
    "select part, digest, size, records from export_parts "
    "where tenant_id = :tenant_id and env = :env and export_id = :export_id"
)
EXCLUDED = (
    "select position, kind, record_id, version, reason, layer from export_records "
    "where tenant_id = :tenant_id and env = :env and export_id = :export_id and reason is not null"
)
FIND_PART = Statement(f"{PARTS} and part = :part")


def export(row: Row) -> Export:
    """The export in a row of `EXPORTS`. One whose run was given up has failed."""
    finished = row["finished_at"]
    gave_up = row["state"] == ExportState.RUNNING and row["run_status"] not in (None, "RUNNING")
    return Export(
        export_id=row["export_id"],
        run_id=row["run_id"],
        state=ExportState.FAILED if gave_up else ExportState(row["state"]),
        kinds=tuple(ExportKind(kind) for kind in orjson.loads(row["spec"])["kinds"]),
        requested_by=row["requested_by"],
        requested_at=moment(row["requested_at"]),
        finished_at=None if finished is None else moment(finished),
        covered=row["covered"],
        position=row["position"],
        included=row["included"],
        excluded=row["excluded"],
        parts=row["parts"],
        manifest_digest=row["manifest_digest"],
        manifest_size=row["manifest_size"],
    )


def part(row: Row) -> Part:
    """The part in a row."""
    return Part(number=row["part"], digest=row["digest"], size=row["size"], records=row["records"])


def name(row: Row) -> str:
    """The id of a record as exports name it: `card_...:3`, `atom_...`."""
    return f"{row['record_id']}:{row['version']}" if row["kind"] == ExportKind.CARD else str(row["record_id"])


def exclusion(row: Row) -> Exclusion:
    """The record left out in a row."""
    layer = row["layer"]
    return Exclusion(name(row), Reason(row["reason"]), None if layer is None else Layer(layer))
