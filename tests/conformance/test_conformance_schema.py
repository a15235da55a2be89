"""The ecosystem's linters find nothing in the schema, and no breaking change gets past the changelog."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from conformance_table import Figure
from graphql import (
    BreakingChangeType,
    GraphQLObjectType,
    build_schema,
    find_breaking_changes,
)
from schema_workshop import SCHEMA, SETTINGS, furnish, ran
from shipped import printed

from nexus_graph.administration.releasing import untold
from nexus_graph.administration.schema_reference import schema_page

SDL = printed()
RULES: dict[str, dict[str, Any]] = json.loads((SETTINGS / "rules.json").read_text("utf-8"))


def linted(folder: Path, schema: str) -> dict[str, Any]:
    """What graphql-eslint says of a schema and the shipped documents."""
    done = ran(furnish(folder, schema), "node", "lint.mjs")
    assert done.returncode == 0, done.stdout + done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@pytest.mark.long
def test_graphql_eslint_finds_nothing(tmp_path: Path, figure: Figure) -> None:
    """Neither in the schema nor in a document, but for what rules.json excepts, each with its reason."""
    said = linted(tmp_path / "workshop", SDL)
    assert said["files"] == 1 + len(list((SCHEMA / "operations").rglob("*.graphql")))
    assert {each["message"] for each in said["found"]} == set(RULES["excepted"]), said["found"]
    assert len(said["found"]) == len(RULES["excepted"])
    assert {rule.partition("/")[2] for rule in said["off"]} == set(RULES["off"])
    figure(9, "graphql-eslint rules on / off with a reason", f"{len(said['on'])} / {len(said['off'])}")
    figure(
        9,
        "graphql-eslint findings in the schema and all documents / excepted with a reason",
        f"0 / {len(RULES['excepted'])}",
    )


def test_every_exception_has_its_reason() -> None:
    """A rule that is off or set otherwise, and a finding that is excepted, says why."""
    reasons = [*RULES["off"].values(), *[each["reason"] for each in RULES["set"].values()], *RULES["excepted"].values()]
    assert min(len(reason.split()) for reason in reasons) > 4


WORSE = {
    "require-description": ('"""Raw bytes in object storage, as they were given."""\n', ""),
    "naming-convention": ("  filename: String!", "  file_name: String!"),
    "relay-edge-types": ('"""The item\'s place, to page on from."""\n  cursor: String!\n', ""),
    "relay-connection-types": ("type CardConnection {", "interface CardConnection {"),
    "relay-page-info": ("  hasNextPage: Boolean!\n", "  hasNextPage: Int!\n"),
    "no-typename-prefix": ("  sizeBytes: BigInt!", "  assetBytes: BigInt!"),
}


@pytest.mark.long
def test_graphql_eslint_finds_what_is_wrong(tmp_path: Path) -> None:
    """Each thing that is spoilt is told by its rule."""
    spoilt = SDL
    for before, after in WORSE.values():
        assert before in spoilt, before
        spoilt = spoilt.replace(before, after, 1)
    said = linted(tmp_path / "workshop", spoilt)
    unexpected = [each for each in said["found"] if each["message"] not in RULES["excepted"]]
    assert {each["rule"].partition("/")[2] for each in unexpected} >= set(WORSE), unexpected


@pytest.mark.long
def test_graphql_schema_linter_finds_nothing(tmp_path: Path, figure: Figure) -> None:
    """With all its rules: descriptions, alphabetical order, names, Relay's pages. A spoilt schema is told."""
    folder = furnish(tmp_path / "workshop", SDL)
    (folder / "spoilt.graphql").write_text(SDL.replace('"""Its id."""', '"""its id."""', 1), "utf-8")
    rules = len(list((folder / "node_modules" / "graphql-schema-linter" / "lib" / "rules").glob("*.js")))
    found = [
        json.loads(ran(folder, "graphql-schema-linter", "--format", "json", name).stdout)["errors"]
        for name in ("nexus.graphql", "spoilt.graphql")
    ]
    assert found[0] == []
    assert [each["rule"] for each in found[1]] == ["descriptions-are-capitalized"]
    figure(9, "graphql-schema-linter rules on / off", f"{rules} / 0")


def test_an_id_names_one_thing() -> None:
    """A type has an `id: ID!`, by which caches tell its objects apart, or none."""
    schema = build_schema(SDL)
    kinds = [kind for kind in schema.type_map.values() if isinstance(kind, GraphQLObjectType) and "id" in kind.fields]
    assert [kind.name for kind in kinds if str(kind.fields["id"].type) != "ID!"] == []


# What a client stumbles over: a piece of the schema, what becomes of it, and what the gate then says.
BREAKING = [
    ("  filename: String!\n", "", "Field Asset.filename was removed."),
    (
        "  captureLocation: String\n",
        "  captureLocation: Int\n",
        "Field Asset.captureLocation changed type from String to Int.",
    ),
    ("  trainOk: Boolean!\n", "  trainOk: Boolean\n", "Field Asset.trainOk changed type from Boolean! to Boolean."),
    ("type Asset implements Node", "type Asset", "Asset no longer implements interface Node."),
    ("scalar Gone\n", "", "Gone was removed."),
    ("scalar BigInt\n", "enum BigInt { A }\n", "BigInt changed from a Scalar type to an Enum type."),
    ("Artifact = Asset | Atom\n", "Artifact = Asset\n", "Atom was removed from union type Artifact."),
    ("\n  SNAPSHOT\n", "\n", "Enum value SessionEntryKind.SNAPSHOT was removed."),
    ("input AnyOfChanges {", "input AnyOfChanges { a: Int!", "A required field AnyOfChanges.a was added."),
    (
        "  settingsChanged(\n",
        "  settingsChanged(\n    a: Int!\n",
        "A required argument Subscription.settingsChanged(a:) was added.",
    ),
    ("    stale: Boolean! = false\n", "", "Argument Asset.atoms(stale:) was removed."),
    ("    ids: [ID!]!\n", "    ids: [Int!]!\n", "Argument Query.nodes(ids:) has changed type from [ID!]! to [Int!]!."),
    ("directive @gone on FIELD\n", "", "Directive @gone was removed."),
    ("@less(a: Int) on", "@less on", "Argument @less(a:) was removed."),
    ("@more on", "@more(a: Int!) on", "A required argument @more(a:) was added."),
    ("@once repeatable on", "@once on", "Repeatable flag was removed from @once."),
    ("@fewer on FIELD | QUERY", "@fewer on FIELD", "QUERY was removed from @fewer."),
    ("    k: Int! = 10\n", "    k: Int! = 20\n", "Query.search(k:) has changed defaultValue from 10 to 20."),
    (
        "  severity: Severity! = INFO\n",
        "  severity: Severity! = ERROR\n",
        "AppendRunLogInput.severity has changed defaultValue from INFO to ERROR.",
    ),
    (
        "input AssetFilterInput {",
        "input AssetFilterInput @oneOf {",
        "Input AssetFilterInput takes exactly one field now.",
    ),
    ('"packs:request"', '"packs:list"', 'Field InfluencePack.replay demands @guard(permission: "packs:list") now.'),
    (
        "@cost(points: 50)",
        '@cost(points: 50) @locked(when: "always")',
        'Field Mutation.deriveAtoms demands @locked(when: "always") now.',
    ),
]
ALLOWED = {
    "a field": ("  filename: String!\n", "  filename: String!\n  more: Int\n"),
    "never null": ("  sourceRef: String\n", "  sourceRef: String!\n"),
    "a type": ("scalar Gone\n", "scalar Gone\nscalar Come\n"),
    "a member of a union": ("Artifact = Asset | Atom\n", "Artifact = Asset | Atom | Card\n"),
    "a value of an enum": ("\n  SNAPSHOT\n", "\n  SNAPSHOT\n  OTHER\n"),
    "an argument that may be left out": ("  settingsChanged(\n", "  settingsChanged(\n    now: Int\n"),
    "an input field that may be left out": ("input AnyOfChanges {", "input AnyOfChanges { a: Int"),
    "a deprecation": ("  contentType: String!\n", '  contentType: String! @deprecated(reason: "No.")\n'),
    "a description": ("type Asset implements", '"""Bytes."""\ntype Asset implements'),
    "a price": ("@cost(points: 50)", "@cost(points: 60)"),
    "a lock less": ('@guard(permission: "a:b") @locked(when: "always")', '@guard(permission: "a:b")'),
}
BARE = (
    "directive @gone on FIELD\ndirective @less(a: Int) on FIELD\ndirective @more on FIELD\n"
    "directive @once repeatable on FIELD\ndirective @fewer on FIELD | QUERY\nscalar Gone\n"
    'type Spare { b: Int @guard(permission: "a:b") @locked(when: "always") }\n'
) + re.sub(r'"""(?:.|\n)*?"""\s*', "", SDL)
"""Our schema without descriptions, and a few things more that a change can take away."""


def changed(schema: str, before: str, after: str) -> str:
    """The schema with one change."""
    assert before in schema, before
    return schema.replace(before, after, 1)


def test_every_breaking_change_needs_its_line(figure: Figure) -> None:
    """All kinds that GraphQL knows, and those it doesn't look at: each is refused until the changelog repeats it."""
    now, sentences = BARE, [sentence for _, _, sentence in BREAKING]
    for before, after, _ in BREAKING:
        now = changed(now, before, after)
    assert untold(BARE, now, "## Unreleased\n\n- Something else.\n") == sorted(sentences)
    told = "## Unreleased\n\n" + "".join(
        f"- {each} Do this instead.\n".replace(" was", "\n  was") for each in sentences[1:]
    )
    assert untold(BARE, now, told) == sentences[:1]
    known = find_breaking_changes(build_schema(BARE), build_schema(now))
    assert {each.type for each in known} == set(BreakingChangeType)
    every = len(BreakingChangeType)
    figure(9, "kinds of breaking changes in GraphQL / refused without a line in the changelog", f"{every} / {every}")
    figure(9, "kinds refused beyond these: defaults, one-field inputs, permissions, locks", len(BREAKING) - len(known))


def test_a_change_that_nobody_stumbles_over_passes() -> None:
    """It needs no line."""
    now = BARE
    for before, after in ALLOWED.values():
        now = changed(now, before, after)
    assert untold(BARE, now, "") == []


@pytest.mark.long
def test_graphql_inspector_is_of_the_same_opinion(tmp_path: Path, figure: Figure) -> None:
    """Whatever it calls breaking is refused, and nothing that is allowed is breaking to it."""
    folder = furnish(tmp_path / "workshop", BARE)
    files = []
    for number, (before, after) in enumerate([*[change[:2] for change in BREAKING], *ALLOWED.values()]):
        files += ["nexus.graphql", f"{number}.graphql"]
        (folder / files[-1]).write_text(changed(BARE, before, after), "utf-8")
    done = ran(folder, "node", "differences.mjs", *files)
    assert done.returncode == 0, done.stderr
    calls = ["BREAKING" in {each["level"] for each in changes} for changes in json.loads(done.stdout)]
    assert not any(calls[len(BREAKING) :])
    assert sum(calls) > 12
    figure(9, "changes that graphql-inspector calls breaking / refused here too", f"{sum(calls)} / {sum(calls)}")


def test_the_reference_has_everything(figure: Figure) -> None:
    """docs/schema.md tells of each root field and each type."""
    page, schema = schema_page(SDL), build_schema(SDL)
    roots = [kind for kind in (schema.query_type, schema.mutation_type, schema.subscription_type) if kind is not None]
    fields = [name for root in roots for name in root.fields]
    kinds: list[str] = re.findall(r"^(?:type|input|enum|union|interface|scalar) (\w+)", SDL, re.M)
    told = [name for name in kinds if f"### {name}\n" in page or f"| `{name}` |" in page]
    assert set(kinds) - set(told) == {root.name for root in roots}
    assert [name for name in fields if f"**{name}**: " not in page] == []
    figure(9, "docs/schema.md: root fields, types", f"{len(fields)}, {len(told)}")
