"""The compilers that front ends use take the schema and every shipped document."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from conformance_table import Figure
from graphql import parse, validate
from relay_sources import PAGED, Source, connection_sources, node_sources
from schema_workshop import SETTINGS, furnish, ran
from shipped import graph, printed

pytestmark = pytest.mark.long

SDL, SCHEMA = printed(), graph()
NODES = tuple(node_sources(SCHEMA))
CONNECTIONS = tuple(connection_sources(SCHEMA))


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """A folder of its own for each test, as the programs write into it."""
    return furnish(tmp_path / "workshop", SDL)


def compiled(workshop: Path, sources: Sequence[Source]) -> tuple[int, str]:
    """Run relay-compiler over modules; its status and what it said."""
    for name in ("sources", "compiled"):
        (workshop / name).mkdir()
    for source in sources:
        (workshop / "sources" / f"{source.module}.ts").write_text(source.text, "utf-8")
    (workshop / "persisted.json").write_text("{}", "utf-8")
    done = ran(workshop, "relay-compiler", "--noWatchman", "relay.config.json")
    return done.returncode, done.stdout + done.stderr


def test_relay_compiles_every_node_and_connection(workshop: Path, figure: Figure) -> None:
    """Each node can be fetched again, each connection paged in all directions, and the queries for it are valid."""
    status, said = compiled(workshop, [*NODES, *CONNECTIONS])
    assert status == 0, said
    artifacts = {path.name.removesuffix(".graphql.ts"): path.read_text("utf-8") for path in workshop.glob("compiled/*")}
    assert set(artifacts) == {name for source in (*NODES, *CONNECTIONS) for name in source.compiled}
    for source in NODES:
        assert '"identifierField": "id"' in artifacts[source.compiled[0]], source.about
    for source in CONNECTIONS:
        directions = [
            re.findall(r'"direction": "(\w+)"', artifacts[name])
            for name in source.compiled
            if not name.endswith("Query")
        ]
        assert directions == [["forward"], ["backward"], ["bidirectional"]], source.about
    queries = json.loads((workshop / "persisted.json").read_text("utf-8"))
    wrong = {text: errors for text in queries.values() if (errors := validate(SCHEMA, parse(text)))}
    assert (len(queries), wrong) == (len(NODES) + len(PAGED) * len(CONNECTIONS), {})
    figure(8, "relay-compiler: nodes with a refetchable fragment", f"{len(NODES)} of {len(NODES)}")
    every = len(PAGED) * len(CONNECTIONS)
    figure(8, "relay-compiler: connections paged forwards, backwards and both ways", f"{every} of {every} fragments")


def test_the_lock_file_pins_every_package() -> None:
    """By its digest; wherever it comes from is the installation's choice."""
    packages = json.loads((SETTINGS / "package-lock.json").read_text("utf-8"))["packages"]
    pinned = {name: package for name, package in packages.items() if name}
    assert [name for name, package in pinned.items() if not package["integrity"].startswith("sha512-")] == []
    assert [name for name, package in pinned.items() if "resolved" in package] == []


def test_no_node_and_no_connection_is_left_out() -> None:
    """Counted in the text of the schema, without its help."""
    assert sorted(source.about for source in NODES) == re.findall(r"^type (\w+) implements [\w& ]*\bNode\b", SDL, re.M)
    assert len(CONNECTIONS) == len(re.findall(r"\): \w+Connection\b", SDL)) > 20


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("type Asset implements Node", "type Asset", "Asset_again|refetchable"),
        ("  endCursor: String\n", "", "endCursor"),
    ],
    ids=["no node", "no end cursor"],
)
def test_relay_refuses_a_worse_schema(workshop: Path, before: str, after: str, complaint: str) -> None:
    """A node that is none any more, a page that does not say where it ends."""
    assert before in SDL
    (workshop / "nexus.graphql").write_text(SDL.replace(before, after, 1), "utf-8")
    status, said = compiled(workshop, [*NODES, *CONNECTIONS])
    assert status != 0
    assert re.search(complaint, said), said


def test_codegen_types_every_document(workshop: Path, figure: Figure) -> None:
    """Each operation and each type of the schema has its TypeScript, which compiles strictly; a wrong use doesn't."""
    names = sorted(path.stem for path in (workshop / "operations").rglob("*.graphql"))
    done = ran(workshop, "graphql-codegen", "-c", "codegen.json")
    assert done.returncode == 0, done.stdout + done.stderr
    generated = (workshop / "generated" / "graphql.ts").read_text("utf-8")
    typed = re.findall(r"^export const (\w+)Document = .* as unknown as DocumentNode<(?!any|unknown)", generated, re.M)
    assert set(names) <= set(typed)
    types = (workshop / "generated" / "every_type.ts").read_text("utf-8")
    kinds = re.findall(r"^(?:type|input|interface|enum|union) (\w+)", SDL, re.M)
    assert [name for name in kinds if not re.search(rf"^export (type|enum) {name}\b", types, re.M)] == []
    checked = ran(workshop, "tsc", "-p", "tsconfig.json")
    assert checked.returncode == 0, checked.stdout
    (workshop / "generated" / "wrong.ts").write_text(
        "import type { RunsQuery } from './graphql'\n"
        "export const right = (runs: RunsQuery): boolean | undefined => runs.runs?.pageInfo.hasNextPage\n"
        "export const wrong = (runs: RunsQuery): number | undefined => runs.runs?.pageInfo.hasNextPage\n"
    )
    refused = ran(workshop, "tsc", "-p", "tsconfig.json")
    assert (refused.returncode != 0, refused.stdout.count("error TS")) == (True, 1), refused.stdout
    figure(8, "graphql-codegen: shipped documents typed, strict TypeScript agrees", f"{len(names)} of {len(names)}")


def test_codegen_refuses_a_wrong_document(workshop: Path) -> None:
    """A field that doesn't exist is named."""
    (workshop / "operations" / "Wrong.graphql").write_text("query Wrong { viewer { nothing } }\n")
    done = ran(workshop, "graphql-codegen", "-c", "codegen.json")
    assert done.returncode != 0
    assert "nothing" in done.stdout + done.stderr
