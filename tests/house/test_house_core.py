"""What `core/` ships is whole: manifests, cards and locked definitions agree with one another."""

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from shipped import MANIFESTS

from nexus_graph.cards.format import Parsed, parse
from nexus_graph.cards.header import read
from nexus_graph.cards.manifests import filter_fields
from nexus_graph.cards.rendering import render
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.resources import resource

CARD_FILES = sorted(resource("core/cards").glob("*.md"))
CARDS = {file.stem: parse(file.read_bytes()) for file in CARD_FILES}

LOCKED = {
    "kpi.yaml": "dbdc6f985bcbbbacc0efe7395ee2c73f3c708829d7a4adc064bcec341a2bee93",
    "temperature.yaml": "ac351239aa4a426fdf8c3d64394193b447888a5ceea83ef34292eac6ec9279fa",
}

STRATEGIC: dict[str, tuple[str, ...]] = {
    "surface_settings": ("surface",),
    "app_definition": ("app",),
    "connector_config": ("connector",),
    "kpi_definition": ("kpi",),
    "kpi_corridor": ("kpi", "window"),
    "temperature_floors": (),
    "temperature_ceilings": (),
    "temperature_weights": (),
}
KPI_TYPES = ("kpi_definition", "kpi_corridor")
LOCKED_TYPES = (*KPI_TYPES, "temperature_floors", "temperature_ceilings", "temperature_weights")
ORDINARY = {"persona": None, "note": None}


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
    held = [sorted(_own_keys(schema) - {"window_days"}) for schema in schemas]
    assert held == [["cadence", "performance"], ["ceilings"], ["weights"]]


def _own_keys(schema: Any) -> set[str]:
    """The keys of a type that are not every type's."""
    return {key for key, described in schema["properties"].items() if described.get("enum") != []} - {
        "card_type",
        "title",
    }


@pytest.mark.parametrize("name", LOCKED_TYPES)
def test_a_header_of_a_locked_type_names_no_key_of_another(name: str) -> None:
    """A key that another of the five types holds is refused at its place, whatever its value; unknown keys are kept."""
    keys = {each: _own_keys(MANIFESTS.by_type[each].schema.definition) for each in LOCKED_TYPES}
    foreign = {"floors"}.union(*keys.values()) - keys[name] - {"window_days"}
    assert len(foreign) >= 8
    card = next(card for card in CARDS.values() if card.card_type == name)
    for key in sorted(foreign):
        with pytest.raises(Invalid, match=f"{key} belongs to another card type") as caught:
            MANIFESTS.validate(_with_header(card, {**card.header, key: 1}))
        assert caught.value.path == ("header", key)
    MANIFESTS.validate(_with_header(card, {**card.header, "remark": "kept"}))


NUMBERS = {
    "kpi_corridor": ["lower", "upper"],
    "temperature_floors": ["performance", "cadence"],
    "temperature_ceilings": ["ceilings"],
    "temperature_weights": ["weights"],
}


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in NUMBERS.items() for key in keys])
@pytest.mark.parametrize("value", ["true", '"3"', "null", ".nan", ".inf", "[1]", "{deep: 1}", "1e999"])
def test_a_number_of_a_locked_type_is_a_number(name: str, key: str, value: str) -> None:
    """Neither a boolean nor a text nor anything that is not finite, at any place where a number stands."""
    card = next(card for card in CARDS.values() if card.card_type == name)
    stated = json.dumps({each: held for each, held in card.header.items() if each != key})[:-1]
    for number in (value, "-1", "0.25"):
        inner = number if name == "kpi_corridor" else f"{{mer: {number}}}"
        text = f"---\n{stated}, {key}: {inner}}}\n---\n{card.body}"
        if number == value:
            with pytest.raises(Invalid):
                MANIFESTS.validate(parse(text))
        else:
            MANIFESTS.validate(parse(text))


@pytest.mark.parametrize(
    ("stem", "header"),
    [
        ("kpi-mer", {"kpi": "roas"}),
        ("kpi-mer", {"kpi": "MER"}),
        ("kpi-mer", {"windows": ["Rolling 90D"]}),
        ("kpi-mer", {"comparisons": ["vs target"]}),
        ("corridor-mer-rolling-30d", {"window": "rolling 30D"}),
        ("corridor-mer-rolling-30d", {"kpi": "profit"}),
        ("temperature-floors", {"performance": {"No Metric": 1}}),
        ("temperature-floors", {"window_days": 0}),
        ("temperature-weights", {"window_days": 91}),
        ("temperature-ceilings", {"window_days": 7.5}),
        ("temperature-weights", {"weights": [1]}),
    ],
)
def test_names_and_tokens_of_locked_types_are_strict(stem: str, header: dict[str, Any]) -> None:
    """Six KPI names, the locked tokens, metric names, a window of 1 to 90 days: nothing else."""
    with pytest.raises(Invalid) as caught:
        MANIFESTS.validate(_with_header(CARDS[stem], {**CARDS[stem].header, **header}))
    assert caught.value.path[:2] == ("header", next(iter(header)))


def disagreements(kpi: Any, temperature: Any, schemas: dict[str, Any], shipped: dict[str, dict[str, Any]]) -> list[str]:
    """Where manifests or shipped cards say something else than the locked definitions."""
    found = []
    meanings = {each["kpi"]: each["definition"] for each in kpi["kpis"]}
    titles = {each["kpi"]: each["title"] for each in kpi["kpis"]}
    definition = schemas["kpi_definition"]
    pinned = {
        rule["if"]["properties"]["kpi"]["const"]: rule["then"]["properties"]["definition"]["const"]
        for rule in definition["allOf"]
    }
    expected = [
        ("pinned definitions", pinned, meanings),
        *((f"{name} names", schemas[name]["properties"]["kpi"]["enum"], list(meanings)) for name in KPI_TYPES),
        ("windows", definition["properties"]["windows"]["items"]["enum"], kpi["windows"]),
        ("comparisons", definition["properties"]["comparisons"]["items"]["enum"], kpi["comparisons"]),
        ("corridor windows", schemas["kpi_corridor"]["properties"]["window"]["enum"], kpi["windows"]),
        ("floors", schemas["temperature_floors"]["required"][2:], temperature["floors"]["order"]),
    ]
    days = temperature["window_days"]
    for name in temperature["records"]["separate"]:
        window = schemas[name]["properties"]["window_days"]
        expected.append((f"{name} days", [window["minimum"], window["maximum"]], [days["minimum"], days["maximum"]]))
    for header in shipped.values():
        if header["card_type"] == "kpi_definition":
            name = header["kpi"]
            tokens = {*header.get("windows", ()), *header.get("comparisons", ())}
            said = (header["title"], header["definition"], tokens - {*kpi["windows"], *kpi["comparisons"]})
            expected.append((f"card {name}", said, (titles.get(name), meanings.get(name), set())))
    expected.append(
        ("defined", sorted(h["kpi"] for h in shipped.values() if h["card_type"] == "kpi_definition"), sorted(meanings))
    )
    found += [where for where, said, wanted in expected if said != wanted]
    return found


def _everything() -> tuple[Any, Any, dict[str, Any], dict[str, dict[str, Any]]]:
    schemas = {name: MANIFESTS.by_type[name].schema.definition for name in LOCKED_TYPES}
    shipped = {stem: dict(card.header) for stem, card in CARDS.items() if card.card_type in LOCKED_TYPES}
    return copy.deepcopy((locked("kpi.yaml"), locked("temperature.yaml"), schemas, shipped))


def test_no_locked_meaning_changes_unseen() -> None:
    """What is locked, what manifests demand and what is shipped agree; a word changed in any one of them is seen."""
    assert disagreements(*_everything()) == []
    changes: list[Callable[[Any, Any, Any, Any], None]] = [
        lambda kpi, *_: kpi["kpis"][1].update(definition="net sales / ad spend"),
        lambda kpi, *_: kpi["kpis"].pop(),
        lambda kpi, *_: kpi["windows"].append("Rolling 90D"),
        lambda _, temperature, *__: temperature["floors"]["order"].reverse(),
        lambda _, temperature, *__: temperature["window_days"].update(maximum=365),
        lambda _, __, schemas, ___: schemas["kpi_definition"]["allOf"].pop(),
        lambda _, __, schemas, ___: schemas["kpi_corridor"]["properties"]["kpi"]["enum"].append("roas"),
        lambda _, __, schemas, ___: schemas["kpi_definition"]["properties"]["comparisons"]["items"]["enum"].pop(),
        lambda _, __, schemas, ___: schemas["temperature_weights"]["properties"]["window_days"].update(minimum=0),
        lambda *given: given[3]["kpi-growth"].update(definition="growth"),
        lambda *given: given[3]["kpi-aoa"].update(title="Audience"),
        lambda *given: given[3].pop("kpi-mer"),
    ]
    for change in changes:
        everything = _everything()
        change(*everything)
        assert disagreements(*everything)


def _records() -> list[str]:
    return list(locked("temperature.yaml")["records"]["separate"])


@pytest.mark.parametrize("folder", ["core/manifests", "core/locked"])
def test_shipped_yaml_means_the_same_in_other_readers(folder: str) -> None:
    """Nothing shipped depends on the differences between YAML 1.1 and 1.2."""
    for file in sorted(resource(folder).glob("*.yaml")):
        text = file.read_text("utf-8")
        assert read(text).values == yaml.safe_load(text), file.name
