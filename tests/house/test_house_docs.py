"""README and docs say what is: their examples are checked or executed, their links lead somewhere.

By a block's language: `graphql` is validated against the schema, `python` is executed beside an empty installation,
`sh` may only use programs, commands and options that exist, `json` must parse. `text` is not looked at. A `client`
is run against a server by tests/conformance.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from graphql import parse, validate
from house_tree import DOCS, PACKAGE, ROOT, SCHEMA, kept_schema, pages, python_files, told
from servers.postgres import ROLES

from nexus_graph import __main__
from nexus_graph.config import FILE_SETTING, PREFIX, Config, load

LANGUAGES = {"graphql", "python", "sh", "sql", "json", "toml", "text", "mermaid", "python client", "javascript client"}
PROGRAMS = {
    "nexus-graph",
    "curl",
    "npm",
    "pip",
    "python",
    "python3.11",
    "pytest",
    "just",
    "pre-commit",
    "export",
    "cd",
    "cp",
    "docker",
    "kubectl",
    "mkdir",
    "openssl",
    "promtool",
    "rclone",
    "sh",
    "systemctl",
    "source",
    ".",
}
BLOCK = re.compile(r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<picture>[^)\s]+)\)")
PATHS = re.compile(r"(?<![\w.:/])/(home|root|Users|work|tmp|mnt|opt|var|srv)/")
PAGES = list(pages())


class Block(NamedTuple):
    """A fenced block: where it stands, its language, its text."""

    place: str
    language: str
    text: str


def blocks(*languages: str) -> list[Any]:
    """The blocks of all pages, as parameters of a test."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            place = f"{told(page)}:{text.count(chr(10), 0, match.start()) + 1}"
            if not languages or match["language"] in languages:
                found.append(pytest.param(Block(place, match["language"], match["text"]), id=place))
    return found


def commands(text: str) -> Iterator[list[str]]:
    """The simple commands of a shell text: joined lines, split at && ; and |, without assignments and redirections."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars="&;|<>")
        words.whitespace_split = True
        command: list[str] = []
        skip = False
        for word in [*words, ";"]:
            if set(word) <= set("&;|"):
                if command:
                    yield command
                command = []
            elif set(word) <= set("<>&"):
                skip = True
                if command and command[-1].isdecimal():
                    command.pop()  # the number of what is redirected
            elif skip or (not command and re.match(r"\w+=", word)):
                skip = False
            else:
                command.append(word)


def understood(arguments: list[str]) -> None:
    """Have the command line parse arguments without doing anything. Raises what it would complain of."""
    command: Any = __main__.app
    context = command.make_context("nexus-graph", list(arguments))
    while hasattr(command, "commands"):
        _, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        context = command.make_context(command.name, rest, parent=context)


@pytest.mark.parametrize("block", blocks())
def test_every_block_says_what_it_is(block: Block) -> None:
    """A block names a language that some test looks at."""
    assert block.language in LANGUAGES, block.place


@pytest.mark.parametrize("block", blocks("graphql"))
def test_a_graphql_example_is_valid(block: Block) -> None:
    """It could be sent to the server as it stands."""
    assert [error.message for error in validate(kept_schema(), parse(block.text))] == []


@pytest.mark.parametrize("block", [each for each in blocks("sql") if "create role" in each.values[0].text])
def test_a_role_is_made_as_the_tests_make_it(block: Block) -> None:
    """The servers of the tests run these statements; only the database is named otherwise there."""
    statements = [each.strip() for each in block.text.split(";") if each.strip()]
    assert [each for each in statements if not each.startswith("create database")] == ROLES, block.place


@pytest.mark.parametrize("block", blocks("json"))
def test_a_json_example_is_json(block: Block) -> None:
    """It parses."""
    json.loads(block.text)


@pytest.mark.parametrize("block", blocks("toml"))
def test_a_toml_example_is_a_configuration(block: Block, tmp_path: Path) -> None:
    """Beside what is required, a start would take it."""
    file = tmp_path / "nexus.toml"
    required = {"data": "data", "erasure_ledger": "ledger.jsonl", "signing_secret": "x" * 32, "development_key": "key"}
    file.write_text("".join(f'{name} = "{value}"\n' for name, value in required.items()) + block.text)
    assert load({}, file).config


@pytest.mark.parametrize("block", blocks("sh"))
def test_a_shell_example_uses_what_exists(block: Block) -> None:
    """Known programs, commands and options of ours that the command line accepts, queries that are valid."""
    for command in commands(block.text):
        assert command[0].rpartition("/")[2] in PROGRAMS, command
        if command[0] == "nexus-graph":
            understood(command[1:])
        for word in command:
            if word.startswith('{"query"'):
                assert validate(kept_schema(), parse(json.loads(word)["query"])) == []


@pytest.mark.parametrize(
    "arguments", [["serv"], ["serve", "--prot", "1"], ["key", "create"], ["import", "."], ["audit", "check"]]
)
def test_a_wrong_command_would_be_seen(arguments: list[str]) -> None:
    """A misspelt command or option, a missing argument."""
    with pytest.raises(Exception, match=r"No such|Missing"):
        understood(arguments)


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_example_runs(block: Block, tmp_path: Path, empty_database: bytes) -> None:
    """In a fresh process, in the folder of an empty installation."""
    (tmp_path / "nexus-data" / "objects").mkdir(parents=True)
    (tmp_path / "nexus-data" / "nexus.db").write_bytes(empty_database)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", block.text], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=told)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file of the checkout, and a heading of it where it has a #."""
    text = BLOCK.sub("", page.read_text("utf-8"))
    for match in LINK.finditer(text):
        target, _, anchor = (match["target"] or match["picture"]).partition("#")
        if re.match(r"https://", target):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{told(page)}: {target}"
        assert file.is_relative_to(ROOT), target
        if anchor:
            assert anchor in {_anchor(line) for line in file.read_text("utf-8").splitlines() if line.startswith("#")}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=told)
def test_every_setting_named_exists(page: Path) -> None:
    """A page names no setting that a start would refuse."""
    known = {f"{PREFIX}{name.upper()}" for name in Config.model_fields} | {FILE_SETTING}
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", page.read_text("utf-8"))) <= known


@pytest.mark.parametrize("page", sorted((DOCS / "decisions").glob("*.md")), ids=lambda page: page.stem)
def test_every_decision_names_a_test_that_keeps_it(page: Path) -> None:
    """A decision is half a page, begins with its number, and ends with tests that exist."""
    text = page.read_text("utf-8")
    number = page.name[:4]
    assert text.startswith(f"# {number} ")
    assert len(text.splitlines()) <= 40
    for part in ("**Context.**", "**Decision.**", "**Consequences.**", "**Kept by**"):
        assert part in text
    kept = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text.partition("**Kept by**")[2])
    assert kept
    for file, name in kept:
        assert (ROOT / file).exists(), file
        assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), name


def test_decisions_are_numbered_without_gaps() -> None:
    """0001, 0002, ..."""
    numbers = [int(page.name[:4]) for page in sorted((DOCS / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_no_path_of_a_machine_is_written_down() -> None:
    """Pages, code and shipped data name no folder of the machine that they were written on."""
    files = [*PAGES, *python_files(PACKAGE), *(ROOT / "core").rglob("*.*"), *SCHEMA.rglob("*.graphql")]
    texts = {told(file): file.read_bytes().decode("utf-8", "replace") for file in files if file.is_file()}
    assert PATHS.search("see /home/somebody/notes")
    assert [name for name, text in texts.items() if PATHS.search(text)] == []
