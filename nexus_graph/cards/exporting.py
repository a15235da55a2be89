"""Export: a version's text with what the engine owns in its header. Publishing that text again changes nothing."""

from __future__ import annotations

from nexus_graph.cards.format import parse
from nexus_graph.cards.model import Card
from nexus_graph.cards.rendering import render
from nexus_graph.scope.clock import iso
from nexus_graph.scope.scope import Scope


def engine_values(scope: Scope, card: Card) -> dict[str, str | int]:
    """What the engine owns in the header of this version, by key."""
    return {
        "card_id": card.card_id,
        "version": card.version,
        "tenant_id": scope.tenant_id,
        "env": scope.env.value,
        "created_at": iso(card.created_at),
        "created_by": card.created_by,
    }


def exported(scope: Scope, card: Card) -> str:
    """The text of a version as it leaves the house: the author's bytes, and the engine's keys below the first fence."""
    return render(parse(card.text), engine_values(scope, card))
