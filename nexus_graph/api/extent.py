"""How much a document may ask for, measured before its other rules run.

A fragment counts wherever it is spread and is measured once, so the time is linear in the document: thirty fragments
that each spread the next one twice stand for a billion fields, and are refused as fast as they are read. Two fields of
one name are compared with each other by a rule of the specification, which is why fields are counted as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)

from nexus_graph.scope.errors import Invalid

DEEPEST = 20
MOST_ALIASES = 60
MOST_FIELDS = 1000


class Extent(NamedTuple):
    """Levels of nested fields (introspection and leaves are none), fields, and aliases among them."""

    depth: int
    fields: int
    aliases: int


_NOTHING = Extent(0, 0, 0)


class BoundedExtent(ValidationRule):
    """Refuses a document with an operation that is too large. Raises Invalid, so that no other rule looks at it."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        definitions = context.document.definitions
        fragments = {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}
        known: dict[str, Extent] = {}
        for operation in definitions:
            if isinstance(operation, OperationDefinitionNode):
                _check(_measured(operation.selection_set, fragments, known))


def _check(extent: Extent) -> None:
    for found, most, what in (
        (extent.depth, DEEPEST, "levels of fields"),
        (extent.fields, MOST_FIELDS, "fields"),
        (extent.aliases, MOST_ALIASES, "aliases"),
    ):
        if found > most:
            raise Invalid(
                f"An operation has at most {most:,} {what}, its fragments included.", hint="Ask for less at once."
            )


def _measured(
    selected: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], known: dict[str, Extent]
) -> Extent:
    depth = fields = aliases = 0
    for selection in selected.selections:
        within: Any = getattr(selection, "selection_set", None)
        inner = _measured(within, fragments, known) if within else _NOTHING
        if isinstance(selection, FieldNode):
            fields += 1
            aliases += selection.alias is not None
            nested = bool(within) and not selection.name.value.startswith("__")
            inner = inner._replace(depth=inner.depth + 1 if nested else 0)
        elif isinstance(selection, FragmentSpreadNode) and selection.name.value in fragments:
            name = selection.name.value
            if name not in known:
                known[name] = _NOTHING  # what a fragment that spreads itself adds; another rule refuses that
                known[name] = _measured(fragments[name].selection_set, fragments, known)
            inner = known[name]
        depth, fields, aliases = max(depth, inner.depth), fields + inner.fields, aliases + inner.aliases
    return Extent(depth, fields, aliases)
