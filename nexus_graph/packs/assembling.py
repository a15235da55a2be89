"""Put a pack together from what a search found and the cards' texts. Pure: cards and hits come in, contents go out."""

from __future__ import annotations

from collections.abc import Mapping

from nexus_graph.cards.format import FENCE, split
from nexus_graph.cards.header import read
from nexus_graph.cards.model import Card
from nexus_graph.index.model import CardHit, SearchResult
from nexus_graph.packs.model import MAX_EXCERPT, Ask, Contents, Excerpt, ExcerptRule, Ref


def assemble(ask: Ask, policy_version: str, found: SearchResult, cards: Mapping[tuple[str, int], Card]) -> Contents:
    """The contents of the pack that answers `ask`. `cards` holds each version that was found."""
    return Contents(
        ask=ask,
        definition_id=found.definition_id,
        policy_version=policy_version,
        index_state=found.index_state,
        refs=tuple(
            _ref(ask, rank, hit, cards[hit.card_id, hit.version]) for rank, hit in enumerate(found.hits, start=1)
        ),
        complete=found.complete,
        exact=found.exact,
    )


def _ref(ask: Ask, rank: int, hit: CardHit, card: Card) -> Ref:
    span = _span(ask, hit, card)
    return Ref(
        rank=rank,
        score=hit.score,
        card_id=card.card_id,
        version=card.version,
        card_digest=card.digest,
        excerpt=None if span is None else Excerpt(card.text[span[0] : span[1]], *span),
        artifact_refs=card.artifact_refs,
    )


def _span(ask: Ask, hit: CardHit, card: Card) -> tuple[int, int] | None:
    """From where to where the excerpt stands in the card's text, at most `MAX_EXCERPT` characters."""
    match ask.excerpt.rule:
        case ExcerptRule.BEST_CHUNK:
            start, end = hit.start, hit.end
        case ExcerptRule.FIRST_CHARACTERS:
            start = len(card.text) - len(card.body)
            end = min(len(card.text), start + (ask.excerpt.characters or MAX_EXCERPT))
        case ExcerptRule.HEADER_FIELD:
            name = ask.excerpt.header_field or ""
            place = read(split(card.text)[0]).places.get((name,))
            if place is None or isinstance(card.header[name], (list, dict)):
                return None
            start, end = len(FENCE) + place.start, len(FENCE) + place.end
            if card.text[start] in "\"'" and card.text[start:end].endswith(card.text[start]):
                start, end = start + 1, end - 1  # what is inside the quotes
    return start, min(end, start + MAX_EXCERPT)
