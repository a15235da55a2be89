"""Cards as they are kept, and the one filter by which lists, searches, packs, counts and streams choose among them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import orjson

from nexus_graph.cards.format import CARD_TYPE, MAX_LABEL_LENGTH
from nexus_graph.cards.header import Path
from nexus_graph.cards.manifests import MAX_FILTERABLE_TEXT, FieldKind, Manifests
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling

MAX_FILTER_ENTRIES = 64


class Card(NamedTuple):
    """One immutable version of a card. `card_id` and `key` name the card in its scope; `digest` names this text.

    `handling` tells effective consent, `declared_train_ok` what was declared of this version alone. `header_text` is
    the header in canonical JSON, and `body_start` the place in the text where the body begins.
    """

    card_id: str
    key: str
    card_type: str
    version: int
    title: str | None
    header_text: str
    body_start: int
    text: str
    digest: str
    labels: tuple[str, ...]
    artifact_refs: tuple[str, ...]
    handling: Handling
    declared_train_ok: bool
    created_at: datetime
    created_by: str
    retired_at: datetime | None = None

    @property
    def header(self) -> Mapping[str, Json]:
        """What the author wrote into the header; read from its text each time."""
        header: Mapping[str, Json] = orjson.loads(self.header_text)
        return header

    @property
    def body(self) -> str:
        """What follows the header."""
        return self.text[self.body_start :]


class ArtifactKind(StrEnum):
    """What a card may cite."""

    ASSET = "ASSET"
    ATOM = "ATOM"


class Comparison(StrEnum):
    """How a header field is compared. RANGE holds a lower and an upper bound, both included, either may be None."""

    EQUALS = "EQUALS"
    IN = "IN"
    RANGE = "RANGE"


FieldValue = str | float | bool | None


@dataclass(frozen=True, slots=True)
class FieldCondition:
    """A condition on a filterable header field; a field with several values fits when one of them does."""

    field: str
    comparison: Comparison
    values: tuple[FieldValue, ...]


@dataclass(frozen=True, slots=True)
class CardFilter:
    """Which cards are meant: all conditions together; an empty one says nothing.

    Any of `types`, all of `labels`, citing any of `artifact_kinds`, created from `created_from` (included) to
    `created_to` (excluded), fitting every one of `fields`. Retired cards only when asked for.
    """

    types: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    created_from: datetime | None = None
    created_to: datetime | None = None
    artifact_kinds: tuple[ArtifactKind, ...] = ()
    fields: tuple[FieldCondition, ...] = ()
    include_retired: bool = False


def check(chosen: CardFilter, manifests: Manifests) -> None:
    """Refuse a filter that no card can mean. Raises Invalid with the path inside the filter.

    A field must be filterable in every type that the filter names, or in any type when it names none.
    """
    for name, entries in (("types", chosen.types), ("labels", chosen.labels), ("fields", chosen.fields)):
        if len(entries) > MAX_FILTER_ENTRIES:
            raise Invalid(f"{name} has more than {MAX_FILTER_ENTRIES} entries.", hint="Ask for fewer.", path=(name,))
    for position, card_type in enumerate(chosen.types):
        if not CARD_TYPE.fullmatch(card_type):
            hint = f"A card type matches ^{CARD_TYPE.pattern}$."
            raise Invalid("A card type is malformed.", hint=hint, path=("types", position))
    for position, label in enumerate(chosen.labels):
        if not 1 <= len(label) <= MAX_LABEL_LENGTH:
            hint = f"A label has 1 to {MAX_LABEL_LENGTH} characters."
            raise Invalid("A label is malformed.", hint=hint, path=("labels", position))
    _check_window(chosen)
    for position, condition in enumerate(chosen.fields):
        _check_field(condition, chosen.types, manifests, ("fields", position))


def _check_window(chosen: CardFilter) -> None:
    for name, moment in (("created_from", chosen.created_from), ("created_to", chosen.created_to)):
        if moment is not None and moment.tzinfo is None:
            raise Invalid(f"{name} has no time zone.", hint="Add one, such as Z.", path=(name,))
    if chosen.created_from and chosen.created_to and chosen.created_from >= chosen.created_to:
        hint = "created_from is before created_to."
        raise Invalid("The time range is empty.", hint=hint, path=("created_to",))


def _check_field(condition: FieldCondition, named: tuple[str, ...], manifests: Manifests, path: Path) -> None:
    kinds: set[FieldKind] = set()
    for card_type in named or manifests.by_type:
        manifest = manifests.get(card_type)
        kind = manifest.filterable.get(condition.field) if manifest else None
        if kind:
            kinds.add(kind)
        elif named:
            raise _unknown_field(condition.field, sorted(manifest.filterable) if manifest else [], card_type, path)
    if not kinds:
        every = {field for manifest in manifests.by_type.values() for field in manifest.filterable}
        raise _unknown_field(condition.field, sorted(every), "any card type", path)
    values = [value for value in condition.values if value is not None]
    if not _has_right_count(condition, len(values)):
        hint = "EQUALS takes one value, IN 1 to 64, RANGE a lower and an upper bound of which one may be null."
        raise Invalid(f"{condition.comparison} has the wrong number of values.", hint=hint, path=(*path, "values"))
    if not any(all(_fits(value, kind) for value in values) for kind in kinds):
        hint = f"{condition.field} holds {' or '.join(sorted(kinds))} of at most {MAX_FILTERABLE_TEXT} characters."
        raise Invalid(f"A value can't be compared with {condition.field}.", hint=hint, path=(*path, "values"))
    if condition.comparison is Comparison.RANGE and kinds == {FieldKind.BOOLEAN}:
        raise Invalid("A boolean field has no range.", hint="Use EQUALS.", path=(*path, "comparison"))


def _unknown_field(field: str, known: list[str], where: str, path: Path) -> Invalid:
    hint = f"Filterable: {', '.join(known)}." if known else "It has no filterable fields."
    return Invalid(f"{field[:64]!r} is not a filterable field of {where}.", hint=hint, path=(*path, "field"))


def _has_right_count(condition: FieldCondition, stated: int) -> bool:
    match condition.comparison:
        case Comparison.EQUALS:
            return len(condition.values) == stated == 1
        case Comparison.IN:
            return len(condition.values) == stated and 1 <= stated <= MAX_FILTER_ENTRIES
        case Comparison.RANGE:
            return len(condition.values) == 2 and stated >= 1


def _fits(value: FieldValue, kind: FieldKind) -> bool:
    match kind:
        case FieldKind.TEXT:
            return isinstance(value, str) and len(value) <= MAX_FILTERABLE_TEXT
        case FieldKind.NUMBER:
            return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        case FieldKind.BOOLEAN:
            return isinstance(value, bool)
