"""The cards' rows and their SQL.

A card is one row of `cards`, each of its versions one row of `card_versions`: all that a card's value needs stands in
these two. Labels and filterable header fields are kept beside them for the current version alone, citations for every
version.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from nexus_graph.cards.drafting import artifact_kind
from nexus_graph.cards.model import Card, CardFilter, Comparison, FieldCondition, FieldValue
from nexus_graph.scope.canonical import canonical
from nexus_graph.scope.clock import micros, moment
from nexus_graph.scope.handling import kept
from nexus_graph.stores.database.base import Row
from nexus_graph.stores.statement import Statement, Value

_COLUMNS = (
    "card.card_id, card.key, card.card_type, card.current_version, card.created_at, card.retired_at, "
    "version.version, version.text, version.body_start, version.digest, version.title, version.header, version.labels, "
    "version.artifact_refs, version.pii_flags, version.declared_train_ok, version.train_ok, "
    "version.created_at as published_at, version.created_by"
)
_JOIN = (
    "from cards card join card_versions version on version.tenant_id = card.tenant_id and version.env = card.env "
    "and version.card_id = card.card_id"
)
_HERE = "where card.tenant_id = :tenant_id and card.env = :env"

CARDS = f"select {_COLUMNS} {_JOIN} and version.version = card.current_version {_HERE}"
"""Cards at their current version; ends inside its WHERE clause, with the aliases `card` and `version`."""
VERSIONS = f"select {_COLUMNS} {_JOIN} {_HERE} and card.card_id = :card_id"
"""All versions of one card; ends inside its WHERE clause."""

FIND = Statement(f"{CARDS} and card.card_id = :card_id")
FIND_MANY = Statement(f"{CARDS} and card.card_id in (:ids...)")
FIND_VERSIONS = Statement(
    f"select {_COLUMNS} {_JOIN} {_HERE} and card.card_id in (:ids...) "
    "and version.card_id || '@' || version.version in (:pairs...)"
)
EXISTS = Statement("select card_id from cards where tenant_id = :tenant_id and env = :env and card_id = :card_id")
FIND_SINGLETON = Statement(
    "select card_id, key from cards where tenant_id = :tenant_id and env = :env and singleton_key = :singleton_key"
)
SETTINGS = Statement(
    CARDS + " and card.retired_at is null and card.card_type in (:types...) and card.card_id in (select card_id "
    "from card_fields where tenant_id = :tenant_id and env = :env and field in ('surface', 'surfaces') "
    "and text_value = :surface) order by card.card_type, card.key"
)
_CITES = (
    " and card.retired_at is null and exists (select 1 from card_artifacts cited "
    "where cited.tenant_id = card.tenant_id and cited.env = card.env and cited.card_id = card.card_id "
    "and cited.version = card.current_version and cited.artifact_id = :artifact_id)"
)
CITING = CARDS + _CITES
"""The cards that cite an artifact now; ends inside its WHERE clause."""
ARTIFACTS = Statement(
    "select asset_id as artifact_id, train_ok from assets "
    "where tenant_id = :tenant_id and env = :env and asset_id in (:assets...) and state = 'SEALED' "
    "union all select atom.atom_id, atom.train_ok and asset.train_ok from atoms atom join assets asset "
    "on asset.tenant_id = atom.tenant_id and asset.env = atom.env and asset.asset_id = atom.asset_id "
    "where atom.tenant_id = :tenant_id and atom.env = :env and atom.atom_id in (:atoms...) and asset.state = 'SEALED'"
)
COUNT_ALL = Statement("select count(*) from cards where tenant_id = :tenant_id and env = :env")
COUNT_CHANGES = Statement(
    "select count(*) from journal_events where tenant_id = :tenant_id and env = :env "
    "and action in ('card.published', 'card.retired') and at >= :start and at < :end"
)
LAST_PUBLISHED = Statement(
    "select seq from journal_events where tenant_id = :tenant_id and env = :env and action = 'card.published' "
    "order by seq desc limit 1"
)
CHANGES = Statement(
    "select * from journal_events where tenant_id = :tenant_id and env = :env and seq > :after "
    "and action in ('card.published', 'card.retired') order by seq limit :most"
)
HEAD = Statement("select seq from journal_heads where tenant_id = :tenant_id and env = :env")

PUT_CARD = Statement(
    "insert into cards (tenant_id, env, card_id, key, card_type, singleton_key, current_version, created_at, "
    "changed_at) values (:tenant_id, :env, :card_id, :key, :card_type, :singleton_key, :version, :now, :now) "
    "on conflict (tenant_id, env, card_id) do update "
    "set singleton_key = :singleton_key, current_version = :version, changed_at = :now"
)
ADD_VERSION = Statement(
    "insert into card_versions (tenant_id, env, card_id, version, text, body_start, digest, title, header, labels, "
    "artifact_refs, pii_flags, declared_train_ok, train_ok, created_at, created_by) values (:tenant_id, :env, "
    ":card_id, :version, :text, :body_start, :digest, :title, :header, :labels, :artifact_refs, :pii_flags, "
    ":declared_train_ok, :train_ok, :now, :created_by)"
)
FORGET_LABELS = Statement("delete from card_labels where tenant_id = :tenant_id and env = :env and card_id = :card_id")
ADD_LABEL = Statement(
    "insert into card_labels (tenant_id, env, card_id, label) values (:tenant_id, :env, :card_id, :label)"
)
FORGET_FIELDS = Statement("delete from card_fields where tenant_id = :tenant_id and env = :env and card_id = :card_id")
ADD_FIELD = Statement(
    "insert into card_fields (tenant_id, env, card_id, position, field, text_value, number_value, boolean_value) "
    "values (:tenant_id, :env, :card_id, :position, :field, :text_value, :number_value, :boolean_value)"
)
ADD_ARTIFACT = Statement(
    "insert into card_artifacts (tenant_id, env, card_id, version, position, artifact_kind, artifact_id) "
    "values (:tenant_id, :env, :card_id, :version, :position, :artifact_kind, :artifact_id)"
)
RETIRE = Statement(
    "update cards set retired_at = :now, changed_at = :now, singleton_key = null "
    "where tenant_id = :tenant_id and env = :env and card_id = :card_id"
)

# What the check compares

WHOLE_VERSIONS = Statement(
    "select version.*, card.card_type, card.current_version from card_versions version "
    "left join cards card on card.tenant_id = version.tenant_id and card.env = version.env "
    "and card.card_id = version.card_id where version.tenant_id = :tenant_id and version.env = :env "
    "and (version.card_id, version.version) > (:card_id, :version) "
    "order by version.card_id, version.version limit :most"
)
LABELS = Statement(
    "select card_id, label from card_labels where tenant_id = :tenant_id and env = :env and card_id in (:ids...)"
)
FIELDS = Statement(
    "select card_id, position, field, text_value, number_value, boolean_value from card_fields "
    "where tenant_id = :tenant_id and env = :env and card_id in (:ids...) order by card_id, position"
)
CITED = Statement(
    "select card_id, version, position, artifact_kind, artifact_id from card_artifacts "
    "where tenant_id = :tenant_id and env = :env and (card_id, version) >= (:first, :first_version) "
    "and (card_id, version) <= (:last, :last_version) order by card_id, version, position"
)
NOT_AT_NEWEST = Statement(
    "select card.card_id, card.current_version from cards card where card.tenant_id = :tenant_id and card.env = :env "
    "and card.current_version <> coalesce((select max(version.version) from card_versions version "
    "where version.tenant_id = card.tenant_id and version.env = card.env and version.card_id = card.card_id), 0) "
    "and card.card_id > :after order by card.card_id limit :most"
)
PUBLICATIONS = Statement(
    "select seq, payload from journal_events where tenant_id = :tenant_id and env = :env "
    "and action = 'card.published' and seq > :after order by seq limit :most"
)
DIGESTS = Statement(
    "select card_id, version, digest from card_versions where tenant_id = :tenant_id and env = :env "
    "and card_id in (:ids...) and card_id || '@' || version in (:pairs...)"
)
CURRENT_VERSIONS = Statement(
    "select card_id, current_version from cards where tenant_id = :tenant_id and env = :env and card_id in (:ids...)"
)
MEND_VERSION = Statement(
    "update card_versions set body_start = :body_start, title = :title, header = :header, labels = :labels, "
    "artifact_refs = :artifact_refs "
    "where tenant_id = :tenant_id and env = :env and card_id = :card_id and version = :version"
)
MEND_TYPE = Statement(
    "update cards set card_type = :card_type where tenant_id = :tenant_id and env = :env and card_id = :card_id"
)
FORGET_ARTIFACTS = Statement(
    "delete from card_artifacts "
    "where tenant_id = :tenant_id and env = :env and card_id = :card_id and version = :version"
)


def card(row: Row) -> Card:
    """The card in a row of `CARDS` or `VERSIONS`."""
    card_id, key, card_type, _, _, retired, version, text, body_start, digest, title, *more = row
    header, labels, artifact_refs, pii_flags, declared_train_ok, train_ok, published, created_by = more
    named = (card_id, key, card_type, version, title, header, body_start, text, digest)
    handling, gone = kept(pii_flags, bool(train_ok)), None if retired is None else moment(retired)
    cited, declared = _texts(artifact_refs), bool(declared_train_ok)
    return Card(*named, _texts(labels), cited, handling, declared, moment(published), created_by, gone)


def _texts(array: str) -> tuple[str, ...]:
    return () if array == "[]" else tuple(orjson.loads(array))


def version_values(card: Card) -> dict[str, Value]:
    """What `ADD_VERSION` keeps of a card, apart from the time."""
    return {
        "card_id": card.card_id,
        "version": card.version,
        "text": card.text,
        "body_start": card.body_start,
        "digest": card.digest,
        "title": card.title,
        "header": card.header_text,
        "labels": canonical(card.labels).decode(),
        "artifact_refs": canonical(card.artifact_refs).decode(),
        "pii_flags": canonical(card.handling.pii_flags).decode(),
        "declared_train_ok": card.declared_train_ok,
        "train_ok": card.handling.train_ok,
        "created_by": card.created_by,
    }


def field_values(card: Card, fields: Sequence[tuple[str, str | float | bool]]) -> list[dict[str, Value]]:
    """What `ADD_FIELD` keeps: one set of values for each filterable field."""
    empty: dict[str, Value] = {"text_value": None, "number_value": None, "boolean_value": None}
    return [
        {**empty, "card_id": card.card_id, "position": position, "field": name, _column(value): value}
        for position, (name, value) in enumerate(fields)
    ]


def artifact_values(card: Card) -> list[dict[str, Value]]:
    """What `ADD_ARTIFACT` keeps: one set of values for each asset or atom cited."""
    return [
        {
            "card_id": card.card_id,
            "version": card.version,
            "position": position,
            "artifact_kind": artifact_kind(ref).value,
            "artifact_id": ref,
        }
        for position, ref in enumerate(card.artifact_refs)
    ]


_CITED = (
    "select 1 from card_artifacts cited "
    "left join atoms atom on atom.tenant_id = cited.tenant_id and atom.env = cited.env "
    "and atom.atom_id = cited.artifact_id "
    "left join assets source on source.tenant_id = cited.tenant_id and source.env = cited.env "
    "and source.asset_id = coalesce(atom.asset_id, cited.artifact_id)"
)


def artifacts_allow(version: str) -> str:
    """SQL: whether everything that a row of `card_versions` cites is here and allows training; an atom as its asset."""
    return (
        f"not exists ({_CITED} where cited.tenant_id = {version}.tenant_id and cited.env = {version}.env "
        f"and cited.card_id = {version}.card_id and cited.version = {version}.version "
        "and not coalesce(source.train_ok, false))"
    )


_LABELLED = " and card.card_id in (select card_id from card_labels where tenant_id = :tenant_id and env = :env and "
_HOLDING = " and card.card_id in (select card_id from card_fields where tenant_id = :tenant_id and env = :env and "


def conditions(chosen: CardFilter) -> tuple[str, dict[str, Value | Sequence[Value]]]:
    """A checked filter as SQL over the alias `card`: what to add to a WHERE clause, and the values.

    Each part of the SQL begins with ` and `, each name of a value with `filter_`. Creation means the card's own, not
    that of its latest version.
    """
    sql = "" if chosen.include_retired else " and card.retired_at is null"
    values: dict[str, Value | Sequence[Value]] = {}
    if chosen.types:
        sql += " and card.card_type in (:filter_types...)"
        values["filter_types"] = chosen.types
    for position, label in enumerate(dict.fromkeys(chosen.labels)):
        sql += f"{_LABELLED}label = :filter_label_{position})"
        values[f"filter_label_{position}"] = label
    if chosen.created_from is not None:
        sql += " and card.created_at >= :filter_from"
        values["filter_from"] = micros(chosen.created_from)
    if chosen.created_to is not None:
        sql += " and card.created_at < :filter_to"
        values["filter_to"] = micros(chosen.created_to)
    if chosen.artifact_kinds:
        sql += (
            " and exists (select 1 from card_artifacts cited where cited.tenant_id = :tenant_id and cited.env = :env "
            "and cited.card_id = card.card_id and cited.version = card.current_version "
            "and cited.artifact_kind in (:filter_kinds...))"
        )
        values["filter_kinds"] = tuple(kind.value for kind in chosen.artifact_kinds)
    for position, condition in enumerate(chosen.fields):
        sql += f"{_HOLDING}{_compared(condition, f'filter_{position}', values)})"
    return sql, values


def _compared(condition: FieldCondition, name: str, values: dict[str, Value | Sequence[Value]]) -> str:
    stated = [value for value in condition.values if value is not None]
    column = _column(stated[0])
    values[f"{name}_field"] = condition.field
    sql = f"field = :{name}_field"
    if condition.comparison is not Comparison.RANGE:
        values[f"{name}_values"] = stated
        return f"{sql} and {column} in (:{name}_values...)"
    lower, upper = condition.values
    if lower is not None:
        values[f"{name}_lower"] = lower
        sql += f" and {column} >= :{name}_lower"
    if upper is not None:
        values[f"{name}_upper"] = upper
        sql += f" and {column} <= :{name}_upper"
    return sql


def _column(value: FieldValue) -> str:
    if isinstance(value, bool):
        return "boolean_value"
    return "text_value" if isinstance(value, str) else "number_value"
