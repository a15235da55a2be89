"""Manifests are judged themselves, and judge headers."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nexus_graph.cards.format import parse
from nexus_graph.cards.manifests import Manifest, Manifests, filter_fields
from nexus_graph.cards.schemas import Schema
from nexus_graph.scope.errors import ConfigurationError, Invalid


def manifest(**changes: Any) -> dict[str, Any]:
    """A small manifest that is in order, with `changes`; None removes a key."""
    values: dict[str, Any] = {
        "card_type": "report",
        "version": 1,
        "title": "Report",
        "description": "A report.",
        "strategic": True,
        "singleton": ["area"],
        "filterable": {"area": "text", "score": "number", "final": "boolean", "tags": "text"},
        "excerpt": "summary",
        "schema": {
            "type": "object",
            "required": ["area"],
            "properties": {
                "area": {"type": "string", "pattern": "^[a-z]{1,20}$", "maxLength": 20},
                "score": {"type": "number", "minimum": 0},
                "final": {"type": "boolean"},
                "tags": {"type": "array", "maxItems": 3, "items": {"type": "string", "enum": ["a", "b"]}},
                "summary": {"type": "string"},
                "due": {"type": "string", "format": "date"},
                "at": {"format": "date-time"},
                "link": {"format": "uri"},
                "parts": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["n"],
                        "properties": {"n": {"const": 1}},
                    },
                },
                "sizes": {"type": "object", "propertyNames": {"pattern": "^[a-z]{1,9}$"}, "maxProperties": 2},
            },
        },
    }
    values.update(changes)
    return {key: value for key, value in values.items() if value is not None}


def written(folder: Path, **changes: Any) -> Path:
    """A folder with that one manifest."""
    (folder / "report.yaml").write_text(yaml.safe_dump(manifest(**changes), sort_keys=False))
    return folder


@pytest.fixture
def report(tmp_path: Path) -> Manifest:
    found = Manifests.load(written(tmp_path)).get("report")
    assert found is not None
    return found


def card(lines: str) -> str:
    """A report card with those header lines."""
    return f"---\ncard_type: report\n{lines}\n---\nbody"


def test_a_manifest_tells_what_the_engine_needs(report: Manifest, tmp_path: Path) -> None:
    """Strategic, singleton, filterable fields and the excerpt, and nothing for a type without manifest."""
    assert report.strategic
    assert report.singleton == ("area",)
    assert dict(report.filterable) == {"area": "text", "score": "number", "final": "boolean", "tags": "text"}
    assert report.excerpt == "summary"
    manifests = Manifests.load(tmp_path)
    assert manifests.get("other") is None
    manifests.validate(parse("---\ncard_type: other\nanything: [1]\n---\n"))


def test_a_singleton_is_named_by_its_keys(report: Manifest) -> None:
    """Two cards with the same keys claim the same place; other types of singleton have fewer words."""
    assert report.singleton_of(parse(card("area: north"))) == '["report","north"]'
    one = Manifest.read(yaml.safe_dump(manifest(singleton=True)))
    assert one.singleton_of(parse(card("area: north"))) == '["report"]'
    many = Manifest.read(yaml.safe_dump(manifest(singleton=False)))
    assert many.singleton_of(parse(card("area: north"))) is None


def test_filterable_fields_become_rows(report: Manifest) -> None:
    """Numbers are floats, lists count for each entry once, absent fields are left out."""
    read = parse(card("tags: [b, a, b]\nfinal: false\nscore: 3\narea: north"))
    rows = filter_fields(read, report)
    assert rows == [("area", "north"), ("score", 3.0), ("final", False), ("tags", "b"), ("tags", "a")]
    assert [type(value) for _, value in rows] == [str, float, bool, str, str]
    assert filter_fields(parse(card("score: 1")), report) == [("score", 1.0)]


def test_unknown_keys_are_kept_and_allowed(report: Manifest) -> None:
    """A header may say more than its manifest describes."""
    report.validate(parse(card("area: north\nmore: {a: [1]}")))


def test_dates_times_and_addresses_in_good_form_pass(report: Manifest) -> None:
    """The formats that are asserted also accept."""
    report.validate(
        parse(card("area: n\ndue: 2026-02-28\nat: 2026-11-02T10:00:00.5+01:00\nlink: https://shop.example/a?b=c"))
    )


@pytest.mark.parametrize(
    ("lines", "path", "line", "column", "words"),
    [
        ("score: 1", (), 2, 1, "lacks area"),
        ("area: 1", ("area",), 3, 7, "area must be of type string"),
        ("area: North", ("area",), 3, 7, "area breaks pattern"),
        ('area: "north\\n"', ("area",), 3, 7, "area breaks pattern"),
        ("area: é", ("area",), 3, 7, "area breaks pattern"),
        ("area: n\nscore: -1", ("score",), 4, 8, "score breaks minimum 0"),
        ("area: n\nscore: true", ("score",), 4, 8, "score must be of type number"),
        ("area: n\ntags: [a, c]", ("tags", 1), 4, 11, "tags[1] must be one of a, b"),
        ("area: n\ntags: [a, a, a, a]", ("tags",), 4, 7, "tags breaks maxItems 3"),
        ("area: n\ndue: 2026-02-30", ("due",), 4, 6, "due breaks format date"),
        ("area: n\ndue: 20260203", ("due",), 4, 6, "due must be of type string"),
        ("area: n\ndue: 2026-W05-2", ("due",), 4, 6, "due breaks format date"),
        ("area: n\nat: 2026-11-02T10:00:00", ("at",), 4, 5, "at breaks format date-time"),
        ("area: n\nat: 2026-W05-2T10:00:00Z", ("at",), 4, 5, "at breaks format date-time"),
        ("area: n\nat: 2026-13-02T10:00:00Z", ("at",), 4, 5, "at breaks format date-time"),
        ("area: n\nlink: nowhere", ("link",), 4, 7, "link breaks format uri"),
        ("area: n\nlink: https://ann:secret@host/", ("link",), 4, 7, "link breaks format uri"),
        ("area: n\nparts:\n  - {n: 1}\n  - {}", ("parts", 1), 6, 5, "parts[1] lacks n"),
        ("area: n\nparts:\n  - {n: 1, m: 2}", ("parts", 0, "m"), 5, 15, "parts[0].m is not a known key here"),
        ("area: n\nparts:\n  - {n: 2}", ("parts", 0, "n"), 5, 9, "parts[0].n must be exactly 1"),
        ("area: n\nsizes: {A: 1}", ("sizes",), 4, 8, "sizes holds a key that breaks pattern"),
    ],
)
def test_a_header_is_refused_at_its_place(
    report: Manifest, lines: str, path: tuple[str | int, ...], line: int, column: int, words: str
) -> None:
    """The error gives the path in the header, and line and column in the card."""
    with pytest.raises(Invalid) as caught:
        report.validate(parse(card(lines)))
    assert caught.value.path == ("header", *path)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert words in caught.value.message


def test_an_error_never_repeats_the_value(report: Manifest) -> None:
    """What an author wrote may be private, and errors are journalled."""
    with pytest.raises(Invalid) as caught:
        report.validate(parse(card("area: MY SECRET")))
    assert "SECRET" not in f"{caught.value.message} {caught.value.hint}"


REQUIRED = ["card_type", "version", "title", "description", "strategic", "singleton", "filterable", "excerpt", "schema"]


@pytest.mark.parametrize("key", REQUIRED)
def test_a_manifest_without_a_required_key_stops_the_start(tmp_path: Path, key: str) -> None:
    """Every key is required, and the error names the file and the key."""
    with pytest.raises(ConfigurationError, match=rf"report\.yaml.*lacks {key}"):
        Manifests.load(written(tmp_path, **{key: None}))


def _schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**manifest()["schema"]["properties"], **properties}, "required": ["area"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"card_type": "other"}, "must be named other.yaml"),
        ({"card_type": "Report"}, "card_type breaks pattern"),
        ({"version": 0}, "version breaks minimum"),
        ({"strategic": "yes"}, "strategic must be of type boolean"),
        ({"colour": "red"}, "colour is not a known key"),
        ({"singleton": []}, "singleton fits none"),
        ({"singleton": ["summary"]}, "must be a required string"),
        ({"singleton": ["nothing"]}, "must be a required string"),
        ({"filterable": {"nothing": "text"}}, "'nothing' is not described as text"),
        ({"filterable": {"score": "text"}}, "'score' is not described as text"),
        ({"filterable": {"summary": "text"}}, "needs an enum or maxLength"),
        ({"filterable": {"area": "date"}}, "filterable.area must be one of"),
        ({"excerpt": "nothing"}, "excerpt field 'nothing'"),
        ({"excerpt": "score"}, "excerpt field 'score'"),
        ({"schema": {"type": "object"}}, "schema lacks properties"),
        ({"schema": {"type": "thing", "properties": {}}}, "malformed at type"),
        ({"schema": _schema(x={"$ref": "https://example.org/x.json"})}, "uses '$ref'"),
        ({"schema": _schema(x={"items": {"uniqueItems": True}})}, "uses 'uniqueItems' at properties.x.items"),
        ({"schema": _schema(x={"anyOf": [{}, {"not": {}}]})}, "uses 'not'"),
        ({"schema": _schema(x={"format": "hostname"})}, "unknown format"),
        *(
            ({"schema": _schema(x={"pattern": pattern})}, "must be ^anchored$ and repeat within bounds")
            for pattern in ("abc", "^a", "a$", "^(a+)+$", "^a*$", "^a{2,}$", "^(a{1,9}){1,9}$", "^a\\$")
        ),
    ],
)
def test_a_wrong_manifest_stops_the_start(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """What is wrong in a manifest is found when it is loaded, and named with its file."""
    with pytest.raises(ConfigurationError) as caught:
        Manifests.load(written(tmp_path, **changes))
    assert "report.yaml" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("pattern", ["^[a-z*+]{1,9}$", "^[^]*]{1,9}$", "^a\\*\\+b?$", "^(ab|cd)?[.]$"])
def test_bounded_patterns_are_allowed(pattern: str) -> None:
    """Stars in classes and escapes are letters, not repetitions."""
    assert Schema.build({"pattern": pattern})


def test_every_wrong_manifest_is_named_at_once(tmp_path: Path) -> None:
    """An operator mends all of them in one go; an empty folder is wrong as well."""
    with pytest.raises(ConfigurationError, match="No manifests"):
        Manifests.load(tmp_path)
    written(tmp_path, version=0)
    (tmp_path / "broken.yaml").write_text("a: &x 1")
    (tmp_path / "latin.yaml").write_bytes(b"\xff")
    (tmp_path / "readme.txt").write_text("not a manifest")
    with pytest.raises(ConfigurationError) as caught:
        Manifests.load(tmp_path)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "Manifest broken.yaml",
        "Manifest latin.yaml",
        "Manifest report.yaml",
    ]
    assert "line 1, column 4" in lines[0]
