"""The price of an operation, from its document and variables, before anything of it runs.

    a field                costs the points of its `@cost`, each time that it stands there; others are free
    a list with a size     (`first`, `last`, `k`, the number of `ids`) costs a point an item, and multiplies what is
                           selected below its items
    a list without a size  multiplies what is selected below it by five
    an argument            costs a point for each whole KiB of text in it, where it is used
    `__schema`, `__type`   cost one introspection each, and each alias below them another: only aliases repeat what
                           is asked there
    an operation           costs a point at least

Aliases and fragments add up, whether or not they turn out to apply; what `@skip` or `@include` leaves out is free. A
fragment is measured once, wherever it is spread: the time is linear in the document.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import strawberry
from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    StringValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_named_type,
    value_from_ast_untyped,
)

from nexus_graph.api.fields import Cost
from nexus_graph.api.strawberry_inside import fields
from nexus_graph.safeguards.rates import Price
from nexus_graph.safeguards.switches import UNSTOPPABLE
from nexus_graph.scope.errors import Invalid

SIZES = ("first", "last", "k", "ids")
"""Arguments, and members of an input argument, that say how many items a field is asked for."""
UNSIZED = 5
"""Items that a list counts as when nothing says how many are asked for."""
INTROSPECTIONS = {"__schema": "__Schema", "__type": "__Type"}
"""Fields, and the types that they lead to."""
KIB = 1024
LEAST = 1
MOST_VALUES = 250_000
"""Values that an operation may ask for: what is computed in one go holds up everybody else."""
HIGHEST = 10**12
"""Prices do not grow beyond it: no budget does either."""


def points(schema: strawberry.Schema) -> Mapping[str, int]:
    """The points of every field that costs some: `Query.search` -> 10. Sorted by name."""
    found = {}
    for owner, name, field in fields(schema):
        for directive in field.directives:
            if isinstance(directive, Cost):
                found[f"{owner}.{name}"] = directive.points
    return dict(sorted(found.items()))


class Measure(NamedTuple):
    """What a selection costs: `fixed`, and for each item of the `lists` that stand directly in it, `listed`.

    How many items those lists have is known one level up, where a connection was given its size.
    """

    fixed: int = 0
    lists: int = 0
    listed: int = 0
    introspections: int = 0

    def __add__(self, other: object) -> Measure:  # componentwise
        if not isinstance(other, Measure):
            return NotImplemented
        return Measure(*(min(one + two, HIGHEST) for one, two in zip(self, other, strict=True)))

    def times(self, size: int | None) -> int:
        """The cost with so many items in each of its lists; None when nothing says how many."""
        listed = UNSIZED * self.listed if size is None else size * (self.lists + self.listed)
        return min(self.fixed + listed, HIGHEST)


_NOTHING = Measure()


@dataclass(frozen=True, slots=True)
class _Field:
    """What a price needs to know of a field of the schema. `sizes` leads to arguments with their defaults."""

    points: int
    is_list: bool
    sizes: tuple[tuple[tuple[str, ...], object], ...]
    type: GraphQLNamedType


class Prices:
    """Knows the points and sizes of every field of a schema."""

    def __init__(self, schema: strawberry.Schema, graph: GraphQLSchema) -> None:
        declared = points(schema)
        self._graph = graph
        self._fields: dict[tuple[str, str], _Field] = {}
        for name, kind in graph.type_map.items():
            if isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType)):
                owners = [name]
                if isinstance(kind, GraphQLInterfaceType):  # as dear as the dearest type that may stand behind it
                    owners += [each.name for each in graph.get_possible_types(kind)]
                for field_name, field in kind.fields.items():
                    dearest = max(declared.get(f"{owner}.{field_name}", 0) for owner in owners)
                    self._fields[name, field_name] = _Field(
                        dearest, _is_list(field), tuple(_sizes(field)), get_named_type(field.type)
                    )
        self._each = {place: replace(known, points=1) for place, known in self._fields.items()}
        for name, kind in graph.type_map.items():
            if isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType, GraphQLUnionType)):
                self._each[name, "__typename"] = _Field(1, False, (), GraphQLString)

    def price(
        self, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None
    ) -> Price:
        """The price of a valid operation. Variables that do not fit their types are refused later: they cost little."""
        measure = _Measuring(self._graph, self._fields, document, operation, variables or {}).of(operation)
        return Price(max(LEAST, measure.times(None)), measure.introspections, _is_urgent(operation))

    def require_bounded(
        self, document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None
    ) -> None:
        """Raises Invalid for an operation whose answer might have too many values: free ones take time as well.

        Measured as the price is, with a point for each field.
        """
        values = _Measuring(self._graph, self._each, document, operation, variables or {}).of(operation).times(None)
        if values > MOST_VALUES:
            asked = f"The answer might have {values:,} values; it may have {MOST_VALUES:,}."
            raise Invalid(asked, hint="Ask for smaller pages, or for fewer fields of each item.")


def _is_urgent(operation: OperationDefinitionNode) -> bool:
    """Whether it asks for nothing but what no kill switch halts: an agent that runs away must not hold up its halt."""
    return all(
        isinstance(selection, FieldNode) and selection.name.value in UNSTOPPABLE
        for selection in operation.selection_set.selections
    )


def _is_list(field: GraphQLField) -> bool:
    kind = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
    return isinstance(kind, GraphQLList)


def _sizes(field: GraphQLField) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, argument in field.args.items():
        if name in SIZES:
            yield (name,), _default(argument)
        kind = get_named_type(argument.type)
        if isinstance(kind, GraphQLInputObjectType):
            for member, each in kind.fields.items():
                if member in SIZES:
                    yield (name, member), _default(each)


def _default(argument: GraphQLArgument | GraphQLInputField) -> object:
    value: object = argument.default_value
    return value


class _Measuring:
    """One operation."""

    def __init__(
        self,
        graph: GraphQLSchema,
        fields: Mapping[tuple[str, str], _Field],
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
    ) -> None:
        self._graph = graph
        self._fields = fields
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._known: dict[str, Measure] = {}
        self._texts: dict[str, int] = {}
        defaults = {
            each.variable.name.value: value_from_ast_untyped(each.default_value)
            for each in operation.variable_definitions or ()
            if each.default_value is not None
        }
        self._variables = {**defaults, **variables}

    def of(self, operation: OperationDefinitionNode) -> Measure:
        root = self._graph.get_root_type(operation.operation)
        return self._selected(operation.selection_set, root) if root else _NOTHING

    def _selected(self, selected: SelectionSetNode, kind: GraphQLNamedType) -> Measure:
        total = _NOTHING
        for selection in selected.selections:
            if self._asked(selection):
                total += self._one(selection, kind)
        return total

    def _one(self, selection: SelectionNode, kind: GraphQLNamedType) -> Measure:
        if isinstance(selection, FieldNode):
            return self._field(selection, kind)
        if isinstance(selection, InlineFragmentNode):
            return self._selected(selection.selection_set, self._narrowed(selection, kind))
        if isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name not in self._known:
                self._known[name] = _NOTHING
                fragment = self._fragments[name]
                self._known[name] = self._selected(fragment.selection_set, self._narrowed(fragment, kind))
            return self._known[name]
        return _NOTHING

    def _narrowed(self, node: InlineFragmentNode | FragmentDefinitionNode, kind: GraphQLNamedType) -> GraphQLNamedType:
        return self._graph.type_map[node.type_condition.name.value] if node.type_condition else kind

    def _field(self, node: FieldNode, kind: GraphQLNamedType) -> Measure:
        name = node.name.value
        if name in INTROSPECTIONS or kind.name.startswith("__"):
            return self._introspected(node, kind)
        known = self._fields.get((kind.name, name))
        if known is None:  # __typename
            return _NOTHING
        points = known.points + sum(self._text(argument.value) for argument in node.arguments or ()) // KIB
        below = self._selected(node.selection_set, known.type) if node.selection_set else _NOTHING
        size = self._size(node, known)
        if not known.is_list:
            return Measure(min(points + below.times(size), HIGHEST))
        if size is not None:
            return Measure(min(points + size * (1 + below.times(None)), HIGHEST))
        if node.selection_set is None:
            return Measure(points)
        return Measure(points, 1, below.times(None))

    def _introspected(self, node: FieldNode, kind: GraphQLNamedType) -> Measure:
        name, below = node.name.value, _NOTHING
        if node.selection_set:
            begins = INTROSPECTIONS.get(name)
            within = self._graph.type_map[begins] if begins else self._fields[kind.name, name].type
            below = self._selected(node.selection_set, within)
        return Measure(introspections=(name in INTROSPECTIONS or node.alias is not None) + below.introspections)

    def _text(self, node: ValueNode) -> int:
        """The characters of all texts in a value. A variable is looked through once, however often it is used."""
        if isinstance(node, VariableNode):
            name = node.name.value
            if name not in self._texts:
                self._texts[name] = characters(self._variables.get(name))
            return self._texts[name]
        if isinstance(node, StringValueNode):
            return len(node.value)
        if isinstance(node, ListValueNode):
            return sum(self._text(item) for item in node.values)
        if isinstance(node, ObjectValueNode):
            return sum(self._text(field.value) for field in node.fields)
        return 0

    def _size(self, node: FieldNode, known: _Field) -> int | None:
        if not known.sizes:
            return None
        given = {argument.name.value: argument.value for argument in node.arguments or ()}
        found = [self._count(given.get(path[0]), path[1:], default) for path, default in known.sizes]
        return max((count for count in found if count is not None), default=1)

    def _count(self, node: ValueNode | None, path: tuple[str, ...], default: object) -> int | None:
        """How many items the value at a path asks for; None when it says nothing."""
        value = Undefined if node is None else value_from_ast_untyped(node, self._variables)
        for member in path:
            value = value.get(member, Undefined) if isinstance(value, Mapping) else Undefined
        return _number(default if value is Undefined else value)

    def _asked(self, selection: SelectionNode) -> bool:
        """Whether `@skip` and `@include` leave a selection in. What can't be told is asked."""
        for directive in selection.directives or ():
            if directive.name.value == "skip" and self._condition(directive) is True:
                return False
            if directive.name.value == "include" and self._condition(directive) is False:
                return False
        return True

    def _condition(self, directive: DirectiveNode) -> object:
        for argument in directive.arguments or ():
            if argument.name.value == "if":
                return value_from_ast_untyped(argument.value, self._variables)
        return None


def characters(value: object, enough: float = math.inf) -> int:
    """The characters of all texts in a JSON value, names of members included; counting ends beyond `enough`."""
    total, waiting = 0, [value]
    while waiting and total <= enough:
        each = waiting.pop()
        if isinstance(each, str):
            total += len(each)
            continue
        if isinstance(each, dict):
            total += sum(map(len, each))
            each = each.values()
        elif not isinstance(each, (list, tuple)):
            continue
        for item in each:
            if type(item) is str:
                total += len(item)
            elif type(item) not in _TEXTLESS:
                waiting.append(item)
    return total


_TEXTLESS: Final = frozenset((int, float, bool, type(None)))


def _number(value: object) -> int | None:
    if isinstance(value, (list, tuple)):
        return len(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return max(0, int(min(value, HIGHEST))) if math.isfinite(value) else HIGHEST
    return None
