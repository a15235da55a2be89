"""A pack is its canonical bytes: what goes in comes out, and equal requests are equal bytes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from nexus_graph.cards import ArtifactKind, CardFilter, Comparison, FieldCondition
from nexus_graph.packs.model import Ask, Contents, Excerpt, ExcerptChoice, ExcerptRule, Ref, seal, unseal
from nexus_graph.scope.canonical import sha256
from nexus_graph.scope.errors import Invalid

FILTER = CardFilter(
    types=("note", "persona"),
    labels=("b", "a", "e", "d", "c", "f"),
    created_from=datetime(2026, 1, 1, tzinfo=UTC),
    created_to=datetime(2026, 2, 1, 12, 30, 0, 5, tzinfo=UTC),
    artifact_kinds=(ArtifactKind.ATOM, ArtifactKind.ASSET),
    fields=(
        FieldCondition("topic", Comparison.IN, ("z", "ä", "z")),
        FieldCondition("lower", Comparison.RANGE, (None, 0.5)),
        FieldCondition("locked", Comparison.EQUALS, (True,)),
    ),
)
CONTENTS = Contents(
    ask=Ask("Größe 漢字?", FILTER, 3, ExcerptChoice(ExcerptRule.FIRST_CHARACTERS, 80)),
    definition_id="hashing@v1:384:chunk-1",
    policy_version="policy-1",
    index_state="ab" * 32,
    refs=(
        Ref(1, 0.123456, "card_a", 2, "d1", Excerpt("Größe", 3, 8), ("asset_1", "atom_2")),
        Ref(2, -0.0001, "card_b", 1, "d2", None, ()),
        Ref(3, 1.0, "card_c", 1, "d3", Excerpt("", 4, 4), ()),
    ),
    complete=True,
    exact=False,
)


def test_the_id_is_the_digest_of_the_bytes() -> None:
    """Of exactly these bytes, which hold no time and no person, with scores as short numbers."""
    pack_id, content = seal(CONTENTS)
    assert pack_id == "pack_" + sha256(content.encode())
    assert set(orjson.loads(content)) == {
        "format", "request", "embedderId", "policyVersion", "indexState", "refs", "complete", "exact",
    }  # fmt: skip
    assert '"score":0.123456' in content
    assert '"score":-0.0001' in content


def test_what_was_sealed_can_be_read_and_sealed_again() -> None:
    """The same bytes come out of the contents read back from them."""
    pack_id, content = seal(CONTENTS)
    assert seal(unseal(content)) == (pack_id, content)
    assert unseal(content).refs == CONTENTS.refs


def test_filters_that_mean_the_same_are_the_same_bytes() -> None:
    """The order and repetition of what is a set does not count; of a range it does."""
    assert '"labels":["a","b","c","d","e","f"]' in seal(CONTENTS)[1]
    turned = replace(
        FILTER,
        types=("persona", "note", "note"),
        labels=("f", "a", "b", "e", "c", "d"),
        artifact_kinds=(ArtifactKind.ASSET, ArtifactKind.ATOM),
        fields=(replace(FILTER.fields[0], values=("ä", "z")), *reversed(FILTER.fields[1:])),
    )
    assert replace(CONTENTS.ask, chosen=turned).json() == CONTENTS.ask.json()
    other = replace(FILTER, fields=(FieldCondition("lower", Comparison.RANGE, (0.5, None)),))
    assert replace(CONTENTS.ask, chosen=other).json() != CONTENTS.ask.json()


@pytest.mark.parametrize(
    "choice",
    [
        ExcerptChoice(ExcerptRule.FIRST_CHARACTERS),
        ExcerptChoice(ExcerptRule.FIRST_CHARACTERS, 0),
        ExcerptChoice(ExcerptRule.FIRST_CHARACTERS, 4001),
        ExcerptChoice(ExcerptRule.FIRST_CHARACTERS, 5, "title"),
        ExcerptChoice(ExcerptRule.BEST_CHUNK, 5),
        ExcerptChoice(ExcerptRule.HEADER_FIELD),
        ExcerptChoice(ExcerptRule.HEADER_FIELD, None, ""),
    ],
)
def test_an_excerpt_rule_says_just_what_it_needs(choice: ExcerptChoice) -> None:
    """Too little, too much or out of bounds is refused."""
    with pytest.raises(Invalid) as refused:
        choice.check()
    assert refused.value.path == ("excerpt",)
