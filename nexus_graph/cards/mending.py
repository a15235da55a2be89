"""What follows from a card's text: compared with what is kept beside it, and written anew where it differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nexus_graph.cards import table
from nexus_graph.cards.format import Parsed, parse
from nexus_graph.cards.manifests import Manifests, filter_fields
from nexus_graph.cards.model import Card
from nexus_graph.scope.canonical import Json, canonical, sha256
from nexus_graph.scope.clock import moment
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.statement import Value
from nexus_graph.stores.work import Read, Stores

_COLUMNS: Final = ("body_start", "title", "header", "labels", "artifact_refs")


@dataclass(frozen=True, slots=True)
class Following:
    """All that follows from a version's text, as rows keep it. `labels` and `fields` are kept of current ones alone."""

    card_id: str
    version: int
    card_type: str
    columns: Mapping[str, Value]
    labels: frozenset[str]
    fields: Sequence[dict[str, Value]]
    artifacts: Sequence[dict[str, Value]]


def follow_all(manifests: Manifests, rows: Sequence[Row]) -> list[Following | str]:
    """What follows from each text in rows of `WHOLE_VERSIONS`, or why nothing does. Takes a while for long ones."""
    return [_follow(manifests, row) for row in rows]


def _follow(manifests: Manifests, row: Row) -> Following | str:
    """What follows from the text in a row; or why nothing does."""
    text = row["text"]
    if not isinstance(text, str) or sha256(text.encode()) != row["digest"]:
        return "its text does not have its digest"
    if row["card_type"] is None:
        return "it is a version of no card"
    try:
        parsed = parse(text)
    except Invalid:
        return "its text is no card"
    card = _card(row, parsed)
    manifest = manifests.get(card.card_type)
    kept = table.version_values(card)
    return Following(
        card_id=card.card_id,
        version=card.version,
        card_type=card.card_type,
        columns={name: kept[name] for name in _COLUMNS},
        labels=frozenset(card.labels),
        fields=table.field_values(card, filter_fields(parsed, manifest) if manifest else []),
        artifacts=table.artifact_values(card),
    )


def _card(row: Row, parsed: Parsed) -> Card:
    """The card as its text alone tells it; what does not follow from the text is left blank."""
    return Card(
        card_id=row["card_id"],
        key="",
        card_type=parsed.card_type,
        version=row["version"],
        title=parsed.title,
        header_text=canonical(parsed.header).decode(),
        body_start=len(parsed.text) - len(parsed.body),
        text=parsed.text,
        digest=parsed.digest,
        labels=parsed.labels,
        artifact_refs=parsed.artifact_refs,
        handling=Handling((), train_ok=False),
        declared_train_ok=False,
        created_at=moment(0),
        created_by="",
    )


@dataclass(frozen=True, slots=True)
class Sides:
    """The rows beside some versions: labels and fields by card, citations by card and version."""

    labels: Mapping[str, set[str]]
    fields: Mapping[str, list[dict[str, Any]]]
    artifacts: Mapping[tuple[str, int], list[dict[str, Any]]]


async def sides_of(read: Read, rows: Sequence[Row]) -> Sides:
    """What is kept beside these versions, which follow one another."""
    labels: dict[str, set[str]] = {}
    fields: dict[str, list[dict[str, Any]]] = {}
    artifacts: dict[tuple[str, int], list[dict[str, Any]]] = {}
    ids = [row["card_id"] for row in rows]
    for row in await read.rows(table.LABELS, ids=ids):
        labels.setdefault(row["card_id"], set()).add(row["label"])
    for row in await read.rows(table.FIELDS, ids=ids):
        fields.setdefault(row["card_id"], []).append(dict(row))
    first, last = rows[0], rows[-1]
    bounds: dict[str, Value] = {"first": first["card_id"], "first_version": first["version"]}
    bounds |= {"last": last["card_id"], "last_version": last["version"]}
    for row in await read.rows(table.CITED, **bounds):
        artifacts.setdefault((row["card_id"], row["version"]), []).append(dict(row))
    return Sides(labels, fields, artifacts)


def differing(row: Row, truth: Following, sides: Sides) -> list[str]:
    """What is kept of a version that does not follow from its text."""
    card_id, version = truth.card_id, truth.version
    found = [name for name in _COLUMNS if row[name] != truth.columns[name]]
    if sides.artifacts.get((card_id, version), []) != truth.artifacts:
        found.append("card_artifacts")
    if row["current_version"] == version:
        if sides.labels.get(card_id, set()) != truth.labels:
            found.append("card_labels")
        if sides.fields.get(card_id, []) != truth.fields:
            found.append("card_fields")
        if row["card_type"] != truth.card_type:
            found.append("card_type")
    return found


async def mend(stores: Stores, scope: Scope, wrong: Sequence[Following]) -> None:
    """Write anew what follows from these texts; labels and fields only of versions that are still current."""
    ids = [*dict.fromkeys(item.card_id for item in wrong)]
    async with stores.work(scope, RunKind.ADMIN) as work:
        found = await work.rows(table.CURRENT_VERSIONS, ids=ids)
        versions = {row["card_id"]: row["current_version"] for row in found}
        current = [item for item in wrong if versions.get(item.card_id) == item.version]
        named: list[dict[str, Value]] = [{"card_id": item.card_id, "version": item.version} for item in wrong]
        own: list[dict[str, Value]] = [{"card_id": item.card_id} for item in current]
        await work.write_many(
            table.MEND_VERSION, [{**name, **item.columns} for name, item in zip(named, wrong, strict=True)]
        )
        await work.write_many(table.FORGET_ARTIFACTS, named)
        await work.write_many(table.ADD_ARTIFACT, [values for item in wrong for values in item.artifacts])
        await work.write_many(table.FORGET_LABELS, own)
        await work.write_many(
            table.ADD_LABEL, [{"card_id": item.card_id, "label": label} for item in current for label in item.labels]
        )
        await work.write_many(table.FORGET_FIELDS, own)
        await work.write_many(table.ADD_FIELD, [values for item in current for values in item.fields])
        types: list[dict[str, Value]] = [{"card_id": item.card_id, "card_type": item.card_type} for item in current]
        await work.write_many(table.MEND_TYPE, types)
        detail: Json = {"output": {"cards": list[Json](ids)}}
        work.record(Event("cards.repaired", "card", ids[0], redact(detail), Handling((), train_ok=False)))
