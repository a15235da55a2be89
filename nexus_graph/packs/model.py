"""Influence packs as values. A pack is its canonical bytes; everything else about it is read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import orjson

from nexus_graph.cards.model import CardFilter
from nexus_graph.index.filters import filter_from, filter_json
from nexus_graph.scope.canonical import Json, canonical, sha256
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.handling import Handling

FORMAT: Final = "pack-1"
"""What the sealed bytes look like. Change it with every key that comes, goes or means something else."""

MAX_REFS: Final = 50
"""The most cards of one pack."""

MAX_EXCERPT: Final = 4000
"""The most characters of one excerpt."""

PREFIX: Final = "pack_"


class ExcerptRule(StrEnum):
    """Which part of a card stands in a pack: the body's beginning, a header field, or the chunk that was found.

    A header field stands there as it is written, without quotes around it; a list or mapping gives no excerpt.
    """

    FIRST_CHARACTERS = "FIRST_CHARACTERS"
    HEADER_FIELD = "HEADER_FIELD"
    BEST_CHUNK = "BEST_CHUNK"


@dataclass(frozen=True, slots=True)
class ExcerptChoice:
    """An excerpt rule with what it needs: `characters` (1 to 4,000) or the header field's name."""

    rule: ExcerptRule = ExcerptRule.BEST_CHUNK
    characters: int | None = None
    header_field: str | None = None

    def check(self) -> None:
        """Raises Invalid for a choice that does not say what it needs, or says more."""
        path = ("excerpt",)
        if (self.characters is not None) != (self.rule is ExcerptRule.FIRST_CHARACTERS):
            raise Invalid("FIRST_CHARACTERS, and nothing else, takes a number of characters.", path=path)
        if (self.header_field is not None) != (self.rule is ExcerptRule.HEADER_FIELD):
            raise Invalid("HEADER_FIELD, and nothing else, takes the name of a field.", path=path)
        if self.characters is not None and not 1 <= self.characters <= MAX_EXCERPT:
            raise Invalid(f"An excerpt has 1 to {MAX_EXCERPT} characters, not {self.characters}.", path=path)
        if self.header_field is not None and not 1 <= len(self.header_field) <= 200:
            raise Invalid("The name of a header field has 1 to 200 characters.", path=path)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for a pack: the `k` (1 to 50) cards nearest to `text`, among those that `chosen` means."""

    text: str
    chosen: CardFilter = field(default_factory=CardFilter)
    k: int = 10
    excerpt: ExcerptChoice = field(default_factory=ExcerptChoice)

    def json(self) -> dict[str, Json]:
        """The request as it is sealed. Equal requests are equal JSON."""
        excerpt: dict[str, Json] = {"rule": self.excerpt.rule.value}
        if self.excerpt.characters is not None:
            excerpt["characters"] = self.excerpt.characters
        if self.excerpt.header_field is not None:
            excerpt["headerField"] = self.excerpt.header_field
        return {"text": self.text, "filter": filter_json(self.chosen), "k": self.k, "excerpt": excerpt}

    @classmethod
    def read(cls, value: Any) -> Ask:
        """The request that `json` wrote."""
        excerpt = value["excerpt"]
        choice = ExcerptChoice(ExcerptRule(excerpt["rule"]), excerpt.get("characters"), excerpt.get("headerField"))
        return cls(value["text"], filter_from(value["filter"]), value["k"], choice)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A slice of a card's text: `text` is what stands there from `start` to `end`, in code points."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Ref:
    """A card in a pack: `rank` counts from 1; `excerpt` is None where the card's header has no such text."""

    rank: int
    score: float
    card_id: str
    version: int
    card_digest: str
    excerpt: Excerpt | None
    artifact_refs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a pack seals. No time, no trace, no person: the same request on the same state is the same contents."""

    ask: Ask
    definition_id: str
    policy_version: str
    index_state: str
    refs: tuple[Ref, ...]
    complete: bool
    exact: bool


@dataclass(frozen=True, slots=True)
class Pack:
    """A sealed pack as it is kept. `content` is the canonical JSON, `pack_id` is `pack_` and its SHA-256.

    Once an erasure took words out of the content, `erased` lists the cards that are gone; the digest stays that of what
    was sealed.
    """

    pack_id: str
    content: str
    contents: Contents
    handling: Handling
    first_served_at: datetime
    first_served_by: str
    erased: tuple[str, ...] | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of the sealed bytes, in hexadecimal."""
        return self.pack_id.removeprefix(PREFIX)


def seal(contents: Contents) -> tuple[str, str]:
    """The id of a pack, and the canonical JSON that it is the digest of."""
    content = canonical(
        {
            "format": FORMAT,
            "request": contents.ask.json(),
            "embedderId": contents.definition_id,
            "policyVersion": contents.policy_version,
            "indexState": contents.index_state,
            "refs": [_ref_json(ref) for ref in contents.refs],
            "complete": contents.complete,
            "exact": contents.exact,
        }
    )
    return PREFIX + sha256(content), content.decode()


def unseal(content: str) -> Contents:
    """What canonical JSON made by `seal` holds."""
    value = orjson.loads(content)
    return Contents(
        ask=Ask.read(value["request"]),
        definition_id=value["embedderId"],
        policy_version=value["policyVersion"],
        index_state=value["indexState"],
        refs=tuple(_ref(ref) for ref in value["refs"]),
        complete=value["complete"],
        exact=value["exact"],
    )


def erased_cards(erased: str | None) -> tuple[str, ...] | None:
    """The cards that an erasure took out of a pack, as its row keeps them; None of a whole one."""
    return None if erased is None else tuple(orjson.loads(erased))


def _ref_json(ref: Ref) -> Json:
    excerpt: Json = None
    if ref.excerpt is not None:
        excerpt = {"text": ref.excerpt.text, "start": ref.excerpt.start, "end": ref.excerpt.end}
    artifacts: Sequence[Json] = list(ref.artifact_refs)
    return {
        "rank": ref.rank,
        "score": ref.score,
        "cardId": ref.card_id,
        "version": ref.version,
        "cardDigest": ref.card_digest,
        "excerpt": excerpt,
        "artifactRefs": artifacts,
    }


def _ref(value: Any) -> Ref:
    excerpt = value["excerpt"]
    return Ref(
        rank=value["rank"],
        score=float(value["score"]),
        card_id=value["cardId"],
        version=value["version"],
        card_digest=value["cardDigest"],
        excerpt=None if excerpt is None else Excerpt(excerpt["text"], excerpt["start"], excerpt["end"]),
        artifact_refs=tuple(value["artifactRefs"]),
    )
