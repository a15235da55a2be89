"""The card filter as JSON and back, so that a digest or a sealed request can hold it. Equal filters are equal JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from nexus_graph.cards.manifests import Manifests
from nexus_graph.cards.model import ArtifactKind, CardFilter, Comparison, FieldCondition, check
from nexus_graph.scope.canonical import Json, canonical
from nexus_graph.scope.clock import iso
from nexus_graph.scope.errors import Invalid


def check_filter(chosen: CardFilter, manifests: Manifests) -> None:
    """Refuse a filter that no search can mean. Raises Invalid with the path inside the filter."""
    check(chosen, manifests)
    if chosen.include_retired:
        hint = "Leave it out; lists of cards show retired ones."
        raise Invalid("A search never finds retired cards.", hint=hint, path=("include_retired",))


def filter_json(chosen: CardFilter) -> dict[str, Json]:
    """The filter as JSON, what is a set sorted and without repetition."""
    return {
        "types": _sorted(chosen.types),
        "labels": _sorted(chosen.labels),
        "createdFrom": None if chosen.created_from is None else iso(chosen.created_from),
        "createdTo": None if chosen.created_to is None else iso(chosen.created_to),
        "artifactKinds": _sorted(kind.value for kind in chosen.artifact_kinds),
        "fields": [*sorted((_field(condition) for condition in chosen.fields), key=canonical)],
    }


def filter_from(value: Mapping[str, Any]) -> CardFilter:
    """The filter that `filter_json` wrote."""
    return CardFilter(
        types=tuple(value["types"]),
        labels=tuple(value["labels"]),
        created_from=_moment(value["createdFrom"]),
        created_to=_moment(value["createdTo"]),
        artifact_kinds=tuple(ArtifactKind(kind) for kind in value["artifactKinds"]),
        fields=tuple(
            FieldCondition(field["field"], Comparison(field["comparison"]), tuple(field["values"]))
            for field in value["fields"]
        ),
    )


def _sorted(texts: Iterable[str]) -> list[Json]:
    return [*sorted(set(texts))]


def _field(condition: FieldCondition) -> dict[str, Json]:
    values: list[Json] = [*condition.values]
    if condition.comparison is Comparison.IN:
        values = sorted({canonical(value): value for value in values}.values(), key=canonical)
    return {"field": condition.field, "comparison": condition.comparison.value, "values": values}


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
