"""3 Cards: a YAML header, a body in natural language, immutable versions. Settings are cards.

In: a card's exact text, a filter, the name of a surface. Out: `Card`, pages of them, differences, settings of a screen.
Never: a header interpreted beyond its manifest, a body read by the engine, a version changed or deleted.
"""

from nexus_graph.cards.checking import check, held
from nexus_graph.cards.comparing import Change, Difference, Hunk, Line, unified
from nexus_graph.cards.drafting import artifact_kind, card_id_of
from nexus_graph.cards.exporting import engine_values, exported
from nexus_graph.cards.format import parse
from nexus_graph.cards.manifests import FieldKind, Manifest, Manifests
from nexus_graph.cards.model import ArtifactKind, Card, CardFilter, Comparison, FieldCondition, FieldValue
from nexus_graph.cards.publishing import Proposed, Published, propose, publish
from nexus_graph.cards.reading import citing, difference, fetch, fetch_versions, list_cards, record_read, versions
from nexus_graph.cards.rendering import declare
from nexus_graph.cards.retiring import propose_retirement, retire, retirement
from nexus_graph.cards.settings import (
    Settings,
    SettingsChange,
    SettingsEnd,
    SettingsFrame,
    SettingsHeartbeat,
    follow_settings,
    settings,
)

__all__ = [
    "ArtifactKind",
    "Card",
    "CardFilter",
    "Change",
    "Comparison",
    "Difference",
    "FieldCondition",
    "FieldKind",
    "FieldValue",
    "Hunk",
    "Line",
    "Manifest",
    "Manifests",
    "Proposed",
    "Published",
    "Settings",
    "SettingsChange",
    "SettingsEnd",
    "SettingsFrame",
    "SettingsHeartbeat",
    "artifact_kind",
    "card_id_of",
    "check",
    "citing",
    "declare",
    "difference",
    "engine_values",
    "exported",
    "fetch",
    "fetch_versions",
    "follow_settings",
    "held",
    "list_cards",
    "parse",
    "propose",
    "propose_retirement",
    "publish",
    "record_read",
    "retire",
    "retirement",
    "settings",
    "unified",
    "versions",
]
