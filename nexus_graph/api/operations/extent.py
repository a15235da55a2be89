"""How large a document may be, measured before any rule of the specification looks at it.

A fragment counts wherever it is spread and is measured once, so the time is linear in the document: thirty fragments
that each spread the next one twice stand for a billion fields, and are refused as fast as they are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from graphql import (
    DefinitionNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    Token,
    TokenKind,
)

from nexus_graph.scope.errors import Invalid

DEEPEST = 20
"""Levels of nested fields."""
DEEPEST_SELECTION = 60
"""Levels of nested selections: of fields, and of fragments in them."""
DEEPEST_BRACKETS = 100
"""Levels of brackets of any kind, so of lists and objects in a literal too."""
MOST_FIELDS = 1000
MOST_ALIASES = 60
MOST_OPERATIONS = 20
MOST_FRAGMENTS = 100
MOST_SPREADS = 400
"""Fragments of a document, and places where one is spread, inline or by its name."""
MOST_VARIABLES = 100
MOST_USES = 500
"""Variables of an operation, and places of a document where one is declared or used."""
MOST_DIRECTIVES = 100
MOST_DIRECTIVES_OF_ONE = 5
"""Directives of a document, and of one field, fragment, variable or operation in it."""
LONGEST_NAME = 256
LONGEST_NUMBER = 64
"""Characters."""

MOST_LISTED = 1000
"""Items of a list in an argument."""

_HINT = "Ask for less at once, and send values as variables."
_OPENING = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
_CLOSING = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})
_NUMBERS = frozenset({TokenKind.INT, TokenKind.FLOAT})


class Extent(NamedTuple):
    """Levels of nested fields (introspection and leaves are none) and of selections, fields, and aliases among them."""

    depth: int
    nested: int
    fields: int
    aliases: int


_NOTHING = Extent(0, 0, 0, 0)


def require_bounded(document: DocumentNode) -> None:
    """Raises Invalid for a document that is too large, whether or not it fits a schema."""
    _check_tokens(document)
    definitions = document.definitions
    fragments = {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}
    operations = [each for each in definitions if isinstance(each, OperationDefinitionNode)]
    _bound(len(operations), MOST_OPERATIONS, "A document", "operations")
    _bound(len(definitions) - len(operations), MOST_FRAGMENTS, "A document", "fragments")
    for definition in definitions:
        _check_definition(definition)
    known: dict[str, Extent] = {}
    for operation in operations:
        extent = _measured(operation.selection_set, fragments, known, 1)
        for found, most, what in (
            (extent.depth, DEEPEST, "levels of fields"),
            (extent.nested, DEEPEST_SELECTION, "levels of selections"),
            (extent.fields, MOST_FIELDS, "fields"),
            (extent.aliases, MOST_ALIASES, "aliases"),
        ):
            _bound(found, most, "An operation", f"{what}, its fragments included")


def _bound(found: int, most: int, owner: str, what: str) -> None:
    if found > most:
        raise Invalid(f"{owner} has at most {most:,} {what}.", hint=_HINT)


def _tokens(document: DocumentNode) -> Iterator[Token]:
    token = document.loc.start_token if document.loc else None
    while token is not None:
        yield token
        token = token.next


def _check_tokens(document: DocumentNode) -> None:
    kinds: Counter[TokenKind] = Counter()
    level = deepest = 0
    for token in _tokens(document):
        kind = token.kind
        kinds[kind] += 1
        if kind in _OPENING:
            level += 1
            deepest = max(deepest, level)
        elif kind in _CLOSING:
            level -= 1
        elif kind is TokenKind.NAME:
            _bound(len(token.value or ""), LONGEST_NAME, "A name", "characters")
        elif kind in _NUMBERS:
            _bound(len(token.value or ""), LONGEST_NUMBER, "A number", "characters; a longer one goes into a text")
    _bound(deepest, DEEPEST_BRACKETS, "A document", "levels of brackets")
    _bound(kinds[TokenKind.AT], MOST_DIRECTIVES, "A document", "directives")
    _bound(kinds[TokenKind.DOLLAR], MOST_USES, "A document", "places where a variable is declared or used")
    _bound(kinds[TokenKind.SPREAD], MOST_SPREADS, "A document", "places where a fragment is spread")


def _check_definition(definition: DefinitionNode) -> None:
    variables = getattr(definition, "variable_definitions", None) or ()
    _bound(len(variables), MOST_VARIABLES, "An operation", "variables")
    waiting: list[Any] = [definition, *variables]
    while waiting:
        node = waiting.pop()
        directives = getattr(node, "directives", None) or ()
        _bound(len(directives), MOST_DIRECTIVES_OF_ONE, "One place of a document", "directives")
        selected: SelectionSetNode | None = getattr(node, "selection_set", None)
        waiting += selected.selections if selected else ()
        values = [argument.value for argument in getattr(node, "arguments", None) or ()]
        values.append(getattr(node, "default_value", None))
        while values:
            value = values.pop()
            if isinstance(value, ListValueNode):
                _bound(len(value.values), MOST_LISTED, "A list in an argument", "items")
                values += value.values
            elif isinstance(value, ObjectValueNode):
                values += [member.value for member in value.fields]


def _measured(
    selected: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    known: dict[str, Extent],
    level: int,
) -> Extent:
    _bound(level, DEEPEST_SELECTION, "An operation", "levels of selections, its fragments included")
    extents: list[Extent] = []
    for selection in selected.selections:
        within: SelectionSetNode | None = getattr(selection, "selection_set", None)
        inner = _measured(within, fragments, known, level + 1) if within else _NOTHING
        if isinstance(selection, FieldNode):
            nested = bool(within) and not selection.name.value.startswith("__")
            inner = inner._replace(
                depth=inner.depth + 1 if nested else 0,
                fields=inner.fields + 1,
                aliases=inner.aliases + (selection.alias is not None),
            )
        elif isinstance(selection, FragmentSpreadNode) and selection.name.value in fragments:
            name = selection.name.value
            if name not in known:
                known[name] = _NOTHING  # what a fragment that spreads itself adds; another rule refuses that
                known[name] = _measured(fragments[name].selection_set, fragments, known, level + 1)
            inner = known[name]
        extents.append(inner)
    return _together(extents)


def _together(extents: Iterable[Extent]) -> Extent:
    depth = nested = fields = aliases = 0
    for extent in extents:
        depth = max(depth, extent.depth)
        nested = max(nested, extent.nested)
        fields += extent.fields
        aliases += extent.aliases
    return Extent(depth, nested + 1, fields, aliases)
