"""Judge a record: its line in the export, or why it is left out. Pure, and slow for long texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from nexus_graph.exports import table
from nexus_graph.exports.model import ExportKind, Outcome, Reason
from nexus_graph.safeguards.consent.releasing import Exportable, Layer, release
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.errors import Invalid
from nexus_graph.stores.database.base import Row


def judge(rows: Sequence[tuple[Row, Layer | None]]) -> list[Outcome]:
    """What becomes of each record, with the layer that withholds it if one does."""
    return [_judge(row, withheld) for row, withheld in rows]


def _judge(row: Row, withheld: Layer | None) -> Outcome:
    position = int(row["position"])
    if row["text"] is None:
        return Outcome(position, None, reason=Reason.GONE)
    if withheld is not None:
        return Outcome(position, None, reason=Reason.TRAIN_NOT_OK, layer=withheld)
    facts, content = _card(row) if row["kind"] == ExportKind.CARD else _atom(row)
    try:
        exportable = release(None, facts, content, tuple(orjson.loads(row["pii_flags"])))
    except Invalid:  # beyond the bounds of redaction
        return Outcome(position, None, reason=Reason.TOO_LARGE)
    return Outcome(position, line(exportable), exportable.pii_flags)


def line(exportable: Exportable) -> bytes:
    """The record as one line: canonical JSON and a line feed."""
    flags: Sequence[Json] = exportable.pii_flags
    return canonical({**exportable.facts, "content": exportable.content.value, "piiFlags": [*flags]}) + b"\n"


def _card(row: Row) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
    facts = {
        "kind": "CARD",
        "id": table.name(row),
        "cardType": row["card_type"],
        "artifactRefs": orjson.loads(row["artifact_refs"]),
    }
    content = {
        "title": row["title"],
        "labels": orjson.loads(row["labels"]),
        "header": orjson.loads(row["header"]),
        "body": row["text"][row["body_start"] :],
    }
    return facts, content


def _atom(row: Row) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
    facts = {
        "kind": "ATOM",
        "id": table.name(row),
        "assetId": row["asset_id"],
        "op": row["op"],
        "opVersion": row["op_version"],
        "ordinal": row["ordinal"],
        "piece": row["atom_kind"],
    }
    content = {"params": orjson.loads(row["params"]), "span": orjson.loads(row["span"]), "text": row["text"]}
    return facts, content
