"""Short ways to write cards, publish them and look at what the journal tells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from shipped import MANIFESTS as SHIPPED

from nexus_graph import cards
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

MANIFESTS = cards.Manifests({name: replace(each, strategic=False) for name, each in SHIPPED.by_type.items()})
"""The shipped manifests, none of them strategic: locks are a story of their own."""

_EVENTS = Statement("select * from journal_events where tenant_id = :tenant_id and env = :env order by seq")


async def publish(
    stores: Stores, scope: Scope, text: str | bytes, *, train_ok: bool = True, **more: Any
) -> cards.Published:
    """Publish a text, without a lock; with consent unless another is named."""
    return await cards.publish(stores, MANIFESTS, scope, text, train_ok=train_ok, **more)


async def events(stores: Stores, scope: Scope) -> list[dict[str, Any]]:
    """The scope's journal, as rows."""
    async with stores.read(scope) as read:
        return [dict(row) for row in await read.rows(_EVENTS)]


def note(body: str = "Hello.\n", *, key: str | None = "plan", more: str = "") -> str:
    """A note, with a key unless None is named."""
    return f"---\ncard_type: note\n{f'key: {key}' if key else 'title: none'}\n{more}---\n{body}"


def surface(name: str, key: str) -> str:
    """A settings card, of which there is one for each surface."""
    sections = "sections:\n- section: top\n  title: Top\n"
    return f"---\ncard_type: surface_settings\nkey: {key}\ntitle: Screen\nsurface: {name}\n{sections}---\nText.\n"


def app(name: str, *surfaces: str) -> str:
    """An app that shows on these surfaces."""
    rituals = "rituals:\n- ritual: review\n  title: Review\n  cadence: weekly\n"
    named = f"surfaces: [{', '.join(surfaces)}]\n"
    return f"---\ncard_type: app_definition\nkey: app/{name}\ntitle: App\napp: {name}\n{named}{rituals}---\nWeekly.\n"


def connector(name: str, *surfaces: str) -> str:
    """A connector that shows on these surfaces."""
    named = f"surfaces: [{', '.join(surfaces)}]\n"
    kept = f"key: connector/{name}\ntitle: Source\nconnector: {name}\nprovider: shop\nenabled: true\n"
    return f"---\ncard_type: connector_config\n{kept}{named}---\nNightly.\n"
