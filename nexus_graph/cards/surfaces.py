"""Settings are cards: which types they have, and which screens (surfaces) a card concerns."""

from __future__ import annotations

from collections.abc import Mapping

from nexus_graph.scope.canonical import Json

SURFACE, APP, CONNECTOR = SETTINGS_TYPES = ("surface_settings", "app_definition", "connector_config")


def surfaces(card_type: str, header: Mapping[str, Json]) -> tuple[str, ...]:
    """The surfaces that a settings card concerns, sorted; none for a card of any other type."""
    if card_type not in SETTINGS_TYPES:
        return ()
    stated = [header.get("surface")] if card_type == SURFACE else header.get("surfaces")
    return tuple(sorted({name for name in stated if isinstance(name, str)})) if isinstance(stated, list) else ()
