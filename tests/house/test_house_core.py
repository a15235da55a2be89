"""What `core/` ships is whole: manifests, cards and locked definitions agree with one another."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from nexus_graph.cards.format import Parsed, parse
from nexus_graph.cards.header import read
from nexus_graph.cards.manifests import Manifests, filter_fields
from nexus_graph.cards.rendering import render
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.resources import resource

MANIFESTS = Manifests.load(resource("core/manifests"))
CARD_FILES = sorted(resource("core/cards").glob("*.md"))
CARDS = {file.stem: parse(file.read_bytes()) for file in CARD_FILES}

LOCKED = {
    "kpi.yaml": "dbdc6f985bcbbbacc0efe7395ee2c73f3c708829d7a4adc064bcec341a2bee93",
    "temperature.yaml": "ac351239aa4a426fdf8c3d64394193b447888a5ceea83ef34292eac6ec9279fa",
}

STRATEGIC = {
    "surface_settings": ("surface",),
    "kpi_definition": ("kpi",),
    "kpi_corridor": ("kpi", "window"),
    "temperature_floors": (),
    "temperature_ceilings": (),
    "temperature_weights": (),
}
ORDINARY = {"app_definition": ("app",), "connector_config": ("connector",), "persona": None, "note": None}


def locked(name: str) -> dict[str, Any]:
    """A locked definition, read as cards are."""
    return read(resource("core/locked").joinpath(name).read_text("utf-8")).values


def test_locked_definitions_are_what_they_were() -> None:
    """The meanings of KPI and Temperature are frozen: a changed byte fails here, and is to be changed back."""
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in resource("core/locked").iterdir()}
    assert found == LOCKED


def test_the_shipped_types_are_the_promised_ones() -> None:
    """Every promised type has a manifest, strategic and singleton as promised."""
    assert {name: each.singleton for name, each in MANIFESTS.by_type.items() if each.strategic} == STRATEGIC
    assert {name: each.singleton for name, each in MANIFESTS.by_type.items() if not each.strategic} == ORDINARY


@pytest.mark.parametrize("file", CARD_FILES, ids=lambda file: file.stem)
def test_every_shipped_card_is_valid(file: Path) -> None:
    """It parses, fits its manifest, has a key and a title of its own, a body worth indexing, and survives an export."""
    card = parse(file.read_bytes())
    manifest = MANIFESTS.get(card.card_type)
    assert manifest is not None
    manifest.validate(card)
    assert card.key is not None
    assert card.key.startswith("nexus/")
    assert card.title
    assert "shipped" in card.labels
    assert not card.stated
    assert len(card.body) > 100
    assert parse(render(card, {"version": 1, "env": "dev"})).body == card.body


def test_shipped_cards_do_not_collide() -> None:
    """Keys are unique, and a singleton is shipped once."""
    keys = [card.key for card in CARDS.values()]
    assert len(keys) == len(set(keys))
    singletons = [MANIFESTS.by_type[card.card_type].singleton_of(card) for card in CARDS.values()]
    claimed = [singleton for singleton in singletons if singleton is not None]
    assert len(claimed) == len(set(claimed))


def test_every_type_has_a_shipped_card() -> None:
    """Each manifest is shown by an example."""
    assert {card.card_type for card in CARDS.values()} == set(MANIFESTS.by_type)


def test_every_filterable_field_is_shown_by_a_shipped_card() -> None:
    """A filter on any declared field has something to find."""
    shown = {
        (card.card_type, name)
        for card in CARDS.values()
        for name, _ in filter_fields(card, MANIFESTS.by_type[card.card_type])
    }
    assert shown == {(each.card_type, name) for each in MANIFESTS.by_type.values() for name in each.filterable}


@pytest.mark.parametrize("name", sorted(MANIFESTS.by_type))
def test_every_required_key_of_a_shipped_card_is_required(name: str) -> None:
    """Manifests require what was promised; without any one of these keys a shipped card is refused."""
    schema: Any = MANIFESTS.by_type[name].schema.definition
    assert schema["required"] == ["card_type", *REQUIRED[name]]
    card = next(card for card in CARDS.values() if card.card_type == name)
    for key in REQUIRED[name]:
        header = {other: value for other, value in card.header.items() if other != key}
        with pytest.raises(Invalid, match=rf"lacks .*{key}"):
            MANIFESTS.by_type[name].validate(_with_header(card, header))


REQUIRED = {
    "app_definition": ["title", "app", "surfaces", "rituals"],
    "connector_config": ["title", "connector", "provider", "surfaces", "enabled"],
    "kpi_corridor": ["title", "kpi", "window"],
    "kpi_definition": ["title", "kpi", "definition"],
    "note": [],
    "persona": ["title", "segment", "summary"],
    "surface_settings": ["title", "surface", "sections"],
    "temperature_ceilings": ["title", "ceilings"],
    "temperature_floors": ["title", "performance", "cadence"],
    "temperature_weights": ["title", "weights"],
}


def _with_header(card: Parsed, header: dict[str, Any]) -> Parsed:
    return parse(f"---\n{json.dumps(header)}\n---\n{card.body}")


def test_the_six_kpis_are_the_locked_ones() -> None:
    """Manifest, cards and locked definitions say the same of each KPI, in the same words."""
    meanings = {each["kpi"]: (each["title"], each["definition"]) for each in locked("kpi.yaml")["kpis"]}
    assert len(meanings) == 6
    shipped = [card for card in CARDS.values() if card.card_type == "kpi_definition"]
    assert {card.header["kpi"]: (card.title, card.header["definition"]) for card in shipped} == meanings
    schema: Any = MANIFESTS.by_type["kpi_definition"].schema.definition
    pinned = {
        rule["if"]["properties"]["kpi"]["const"]: rule["then"]["properties"]["definition"]["const"]
        for rule in schema["allOf"]
    }
    assert pinned == {kpi: definition for kpi, (_, definition) in meanings.items()}
    assert schema["properties"]["kpi"]["enum"] == list(meanings)


def test_a_kpi_cannot_be_given_another_meaning() -> None:
    """A definition card that says something else is refused at the definition."""
    card = CARDS["kpi-mer"]
    with pytest.raises(Invalid, match="definition must be exactly net sales / total marketing spend") as caught:
        MANIFESTS.validate(_with_header(card, {**card.header, "definition": "net sales / ad spend"}))
    assert caught.value.path == ("header", "definition")


@pytest.mark.parametrize(
    ("name", "places"),
    [
        (
            "windows",
            [("kpi_definition", "windows"), ("kpi_corridor", "window"), ("surface_settings", "default_window")],
        ),
        ("comparisons", [("kpi_definition", "comparisons")]),
    ],
)
def test_window_and_comparison_tokens_are_the_locked_ones(name: str, places: list[tuple[str, str]]) -> None:
    """Every manifest that speaks of windows or comparisons offers exactly the locked tokens."""
    tokens = locked("kpi.yaml")[name]
    for card_type, field in places:
        schema: Any = MANIFESTS.by_type[card_type].schema.definition
        described = schema["properties"][field]
        assert described.get("items", described)["enum"] == tokens


def test_floors_ceilings_and_weights_share_no_key() -> None:
    """They are three records: what one holds, no other holds."""
    schemas: list[Any] = [MANIFESTS.by_type[name].schema.definition for name in _records()]
    held = [sorted(set(schema["properties"]) - {"card_type", "title"}) for schema in schemas]
    assert held == [["cadence", "performance"], ["ceilings"], ["weights"]]


def _records() -> list[str]:
    return list(locked("temperature.yaml")["records"]["separate"])


@pytest.mark.parametrize("folder", ["core/manifests", "core/locked"])
def test_shipped_yaml_means_the_same_in_other_readers(folder: str) -> None:
    """Nothing shipped depends on the differences between YAML 1.1 and 1.2."""
    for file in sorted(resource(folder).glob("*.yaml")):
        text = file.read_text("utf-8")
        assert read(text).values == yaml.safe_load(text), file.name
