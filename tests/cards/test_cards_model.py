"""A filter says only what cards can mean."""

from datetime import UTC, datetime, timedelta

import pytest
from shipped import MANIFESTS

from nexus_graph.cards.model import ArtifactKind, CardFilter, Comparison, FieldCondition, FieldValue, check
from nexus_graph.scope.errors import Invalid

NOW = datetime(2026, 11, 2, tzinfo=UTC)
EQUALS, IN, RANGE = Comparison.EQUALS, Comparison.IN, Comparison.RANGE


def on(field: str, comparison: Comparison, *values: FieldValue) -> CardFilter:
    """A filter with one condition."""
    return CardFilter(fields=(FieldCondition(field, comparison, values),))


@pytest.mark.parametrize(
    "chosen",
    [
        CardFilter(),
        CardFilter(types=("note", "made_up"), labels=("a",), artifact_kinds=(ArtifactKind.ATOM,), include_retired=True),
        CardFilter(created_from=NOW, created_to=NOW + timedelta(days=1)),
        CardFilter(created_to=NOW),
        on("surfaces", EQUALS, "overview"),
        on("surfaces", IN, "overview", "runs"),
        on("lower", RANGE, 1, None),
        on("lower", RANGE, None, 2.5),
        on("noted_on", RANGE, "2026-01-01", "2026-12-31"),
        on("enabled", EQUALS, False),
        CardFilter(types=("app_definition", "connector_config"), fields=(FieldCondition("enabled", EQUALS, (True,)),)),
    ],
)
def test_a_filter_that_means_something_passes(chosen: CardFilter) -> None:
    """Types without a manifest may be named, fields may be asked of all types that declare them."""
    check(chosen, MANIFESTS)


@pytest.mark.parametrize(
    ("chosen", "path", "words"),
    [
        (CardFilter(types=("note", "Note")), ("types", 1), "card type"),
        (CardFilter(types=("note",) * 65), ("types",), "more than 64"),
        (CardFilter(labels=("",)), ("labels", 0), "label"),
        (CardFilter(labels=("a" * 65,)), ("labels", 0), "label"),
        (CardFilter(created_from=NOW.replace(tzinfo=None)), ("created_from",), "time zone"),
        (CardFilter(created_from=NOW, created_to=NOW), ("created_to",), "empty"),
        (on("colour", EQUALS, "red"), ("fields", 0, "field"), "'colour' is not a filterable field of any card type"),
        (on("sections", EQUALS, "x"), ("fields", 0, "field"), "not a filterable field"),
        (
            CardFilter(types=("app_definition", "note"), fields=(FieldCondition("enabled", EQUALS, (True,)),)),
            ("fields", 0, "field"),
            "not a filterable field of note",
        ),
        (
            CardFilter(types=("made_up",), fields=(FieldCondition("enabled", EQUALS, (True,)),)),
            ("fields", 0, "field"),
            "not a filterable field of made_up",
        ),
        (on("topic", EQUALS), ("fields", 0, "values"), "number of values"),
        (on("topic", EQUALS, None), ("fields", 0, "values"), "number of values"),
        (on("topic", EQUALS, "a", "b"), ("fields", 0, "values"), "number of values"),
        (on("topic", IN), ("fields", 0, "values"), "number of values"),
        (on("topic", IN, "a", None), ("fields", 0, "values"), "number of values"),
        (on("topic", IN, *("a",) * 65), ("fields", 0, "values"), "number of values"),
        (on("lower", RANGE, None, None), ("fields", 0, "values"), "number of values"),
        (on("lower", RANGE, 1), ("fields", 0, "values"), "number of values"),
        (on("topic", EQUALS, 1), ("fields", 0, "values"), "can't be compared"),
        (on("topic", EQUALS, "a" * 257), ("fields", 0, "values"), "can't be compared"),
        (on("lower", EQUALS, True), ("fields", 0, "values"), "can't be compared"),
        (on("lower", EQUALS, float("nan")), ("fields", 0, "values"), "can't be compared"),
        (on("enabled", EQUALS, 1), ("fields", 0, "values"), "can't be compared"),
        (on("enabled", RANGE, False, True), ("fields", 0, "comparison"), "no range"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(chosen: CardFilter, path: tuple[str | int, ...], words: str) -> None:
    """An unknown key, a wrong type or an empty range is an error, never an empty result."""
    with pytest.raises(Invalid) as caught:
        check(chosen, MANIFESTS)
    assert caught.value.path == path
    assert words in caught.value.message
    assert caught.value.hint
