"""Trusted documents: those of `schema/operations/`, and those of a folder that the operator names.

A folder holds documents (`*.graphql`, each complete by itself) and what compilers of clients write (`*.json`): an
object of texts by their digests, as relay-compiler and graphql-codegen make it, or a manifest of Apollo's. Everything
is read and checked against the schema once, when a process starts.

A client that prints a document again before it hashes it has another digest than the file. So a document of `*.graphql`
is known in up to five spellings: as written; as graphql-js prints it, 17 with spaces inside of braces and 16 without;
and as Apollo Client does with either, which asks for `__typename` in every selection but the outermost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    EnumValueNode,
    FieldNode,
    ListValueNode,
    NameNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Visitor,
    print_ast,
    visit,
)

from nexus_graph.api.errors import Flawed
from nexus_graph.api.operations.documents import Documents
from nexus_graph.api.operations.operation import LONGEST_DOCUMENT
from nexus_graph.api.operations.persisted import digest_of
from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.scope.resources import resource

MOST_DOCUMENTS = 5_000
MOST_BYTES = 32 * 1024 * 1024
"""Of one folder, all its files together."""

_APOLLO = "apollo-persisted-query-manifest"


@dataclass(frozen=True, slots=True)
class Trusted:
    """One document: its operations' names and kinds, its file as people find it, its spellings by their digests.

    The first spelling is the text of the file.
    """

    operations: tuple[tuple[str, str], ...]
    file: str
    spellings: dict[str, str]


def trusted(documents: Documents, folder: Path | None = None) -> list[Trusted]:
    """The shipped documents and those of a folder. Raises ConfigurationError that names file and error."""
    found = list(_written(documents, resource("schema"), resource("schema") / "operations"))
    if folder is not None:
        if not folder.is_dir():
            raise ConfigurationError(
                f"Trusted documents: there is no folder {folder}. Name one, here or in NEXUS_OPERATIONS."
            )
        _require_bounded(folder)
        found += [*_written(documents, folder, folder), *_compiled(documents, folder)]
        if len(found) > MOST_DOCUMENTS:
            raise ConfigurationError(f"Trusted documents: {folder} holds more than {MOST_DOCUMENTS:,} documents.")
    return found


def texts(found: list[Trusted]) -> dict[str, str]:
    """Every spelling by its digest."""
    return {digest: text for each in found for digest, text in each.spellings.items()}


def _require_bounded(folder: Path) -> None:
    size = sum(path.stat().st_size for path in _files(folder, "graphql", "json"))
    if size > MOST_BYTES:
        raise ConfigurationError(f"Trusted documents: {folder} holds {size:,} bytes; it may hold {MOST_BYTES:,}.")


def _files(folder: Path, *extensions: str) -> list[Path]:
    found = []
    for path in folder.rglob("*"):
        if path.suffix.removeprefix(".") in extensions and path.is_file():
            found.append(path)
            if len(found) > MOST_DOCUMENTS:
                raise ConfigurationError(f"Trusted documents: {folder} holds more than {MOST_DOCUMENTS:,} files.")
    return sorted(found)


def _written(documents: Documents, root: Path, folder: Path) -> Iterator[Trusted]:
    for path in _files(folder, "graphql"):
        text = _read(path)
        document = _checked(documents, text, path)
        spellings = {digest_of(form): form for form in (text, *_printed(document))}
        yield _trusted(document, path.relative_to(root).as_posix(), spellings)


def _printed(document: DocumentNode) -> Iterator[str]:
    for each in (document, visit(document, _Typenames())):
        yield print_ast(each)
        yield print_ast(visit(each, _Tight()))


def _compiled(documents: Documents, folder: Path) -> Iterator[Trusted]:
    for path in _files(folder, "json"):
        for digest, text in _entries(_decoded(path), path).items():
            if digest.removeprefix("sha256:") != digest_of(text):
                raise ConfigurationError(
                    f"Trusted documents: {path}: {digest[:80]!r} is not the SHA-256 of its document. "
                    "Set the compiler's hash algorithm to SHA-256."
                )
            document = _checked(documents, text, path)
            yield _trusted(document, path.relative_to(folder).as_posix(), {digest_of(text): text})


def _entries(value: object, path: Path) -> Mapping[str, str]:
    """The texts of a compiled file by what it calls them."""
    entries: Any = value
    if isinstance(value, dict) and value.get("format") == _APOLLO:
        listed: Any = value.get("operations")
        whole = isinstance(listed, list) and all(isinstance(each, dict) for each in listed)
        entries = {each.get("id"): each.get("body") for each in listed} if whole else None
    if isinstance(entries, dict) and all(isinstance(part, str) for entry in entries.items() for part in entry):
        return entries
    raise ConfigurationError(
        f"Trusted documents: {path} is neither an object of documents by their digests nor a manifest of Apollo's."
    )


def _trusted(document: DocumentNode, file: str, spellings: dict[str, str]) -> Trusted:
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    named = tuple((each.name.value if each.name else "", each.operation.value) for each in operations)
    return Trusted(named, file, spellings)


def _checked(documents: Documents, text: str, path: Path) -> DocumentNode:
    if len(text) > LONGEST_DOCUMENT:
        raise ConfigurationError(f"Trusted documents: {path} has more than {LONGEST_DOCUMENT:,} characters in one.")
    try:
        document = documents.read(text, suggestions=True).document
    except Flawed as error:
        first = error.errors[0]
        place = f", line {first.locations[0].line}" if first.locations else ""
        raise ConfigurationError(f"Trusted documents: {path}{place}: {first.message}") from error
    if not any(isinstance(each, OperationDefinitionNode) for each in document.definitions):
        raise ConfigurationError(f"Trusted documents: {path} holds no operation.")
    return document


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"Trusted documents: {path} can't be read: {error}.") from error


def _decoded(path: Path) -> object:
    try:
        return orjson.loads(_read(path))
    except ValueError as error:
        raise ConfigurationError(f"Trusted documents: {path} is no JSON: {error}.") from error


class _Typenames(Visitor):
    """Adds `__typename` where Apollo Client does: last in each selection set, but not in an operation's own."""

    def enter_selection_set(self, node: SelectionSetNode, _key: object, parent: object, *_: object) -> Any:
        """The set with the field, or nothing for one that stays as it is."""
        if isinstance(parent, OperationDefinitionNode) or any(
            isinstance(each, FieldNode) and each.name.value.startswith("__") for each in node.selections
        ):
            return None
        typename = FieldNode(name=NameNode(value="__typename"))
        return SelectionSetNode(selections=(*node.selections, typename))


class _Tight(Visitor):
    """Spells lists and objects as graphql-js 16 does, in one line and close to their braces.

    An enum's value is printed as it stands, whatever it is; that is used here.
    """

    def leave_object_value(self, node: ObjectValueNode, *_: object) -> EnumValueNode:
        """The object as it is printed."""
        fields = [f"{field.name.value}: {print_ast(field.value)}" for field in node.fields]
        return EnumValueNode(value=f"{{{', '.join(fields)}}}")

    def leave_list_value(self, node: ListValueNode, *_: object) -> EnumValueNode:
        """The list as it is printed."""
        return EnumValueNode(value=f"[{', '.join(print_ast(value) for value in node.values)}]")
