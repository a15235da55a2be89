"""Every place of the schema where a caller can put an id, a cursor, a key or a name, and a document that puts it there.

Read from the schema that the server itself tells by introspection, so that no field is forgotten: an argument that
nobody has classified here raises `Unclassified`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)

from nexus_graph.scope.errors import NexusError

HARMLESS = {"Boolean", "Int", "BigInt", "Float", "DateTime"}
"""Scalars that can name nothing of another tenant; enums can't either."""

KNOWN_IDS = {"id", "ids", "assetId", "cardId", "erasureId", "lockId", "runId", "switchId"}
"""Arguments of type ID that take the ids of nodes."""

FREE_TEXT = {
    "AnyOfChanges.cardTypes",
    "AppendRunLogInput.data",
    "AppendRunLogInput.text",
    "AppendSessionInput.sessionId",
    "ApproveLockInput.changeDigest",
    "AuditFilterInput.types",
    "CreateKeyInput.name",
    "DeriveAtomsInput.op",
    "DeriveAtomsInput.params",
    "EditLockInput.reason",
    "EngageKillSwitchInput.name",
    "EngageKillSwitchInput.reason",
    "ExcerptInput.headerField",
    "ExecuteErasureInput.digest",
    "FieldConditionInput.field",
    "InfluencePackInput.text",
    "OpenRunInput.title",
    "ProposeLockInput.reason",
    "PutSessionSnapshotInput.content",
    "PutSessionSnapshotInput.sessionId",
    "Query.search.text",
    "ReleaseKillSwitchChange.switchId",
    "ReserveAssetInput.captureLocation",
    "ReserveAssetInput.contentType",
    "ReserveAssetInput.filename",
    "ReserveAssetInput.sourceRef",
    "SessionEntryInput.content",
    "SetMemberInput.subject",
    "Viewer.can.action",
}
"""What is kept, compared by meaning, or a word of the schema itself: there is nothing to look up, whoever asks."""

HALTED = "recipes"
"""A field that may be halted: it takes no arguments, so that nothing is walked less for it."""

COMPANIONS: Mapping[str, Mapping[str, Any]] = {
    "before": {"last": 2},
    "AppendRunLogInput": {"text": "an entry"},
    "EngageKillSwitchInput": {"name": HALTED},
    "PlanErasureInput": {"subject": "somebody@people.example"},
    "PublishCardChange.cardId": {"expectedVersion": 1},
    "PublishCardInput.cardId": {"expectedVersion": 1},
}
"""What must stand beside an argument, or in an input, for it to be looked at."""


ONE_OF: Mapping[str, Mapping[str, Any]] = {"LockChangeInput": {"reindex": True}}
"""What stands in an input of which exactly one member is given, where none is looked at."""

DEEPER = {"ErasurePayload": 3}
"""What is asked for deeper than two levels, because what it says about the argument lies there."""

BENEATH = {"Session": "session"}
"""Types with lists of their own that are no nodes, and the query that gives one by its id."""


class Unclassified(NexusError):
    """The schema has an argument or a type that this proof knows no value for. Give it one."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One leaf argument: `Mutation.sealAsset` and ("input", "assetId")."""

    owner: GraphQLObjectType
    field: str
    path: tuple[str, ...]
    leaf: str
    type_name: str
    many: bool

    @property
    def name(self) -> str:
        """Where it is, in full."""
        return ".".join((self.owner.name, self.field, *self.path))


@dataclass(frozen=True, slots=True)
class Call:
    """A document and its variables."""

    kind: str
    document: str
    variables: dict[str, Any]


def slots(schema: GraphQLSchema) -> Iterator[Slot]:
    """Every leaf argument of the schema that could name something."""
    for owner in schema.type_map.values():
        if isinstance(owner, GraphQLObjectType) and not owner.name.startswith("__"):
            for field_name, field in owner.fields.items():
                for argument_name, argument in field.args.items():
                    yield from _leaves(owner, field_name, f"{owner.name}.{field_name}", (argument_name,), argument)


def _leaves(
    owner: GraphQLObjectType,
    field: str,
    holder: str,
    path: tuple[str, ...],
    argument: GraphQLArgument | GraphQLInputField,
) -> Iterator[Slot]:
    named = get_named_type(argument.type)
    if isinstance(named, GraphQLInputObjectType):
        for name, item in named.fields.items():
            yield from _leaves(owner, field, named.name, (*path, name), item)
    elif named.name not in HARMLESS and not isinstance(named, GraphQLEnumType):
        bare = argument.type.of_type if is_non_null_type(argument.type) else argument.type
        yield Slot(owner, field, path, f"{holder}.{path[-1]}", named.name, is_list_type(bare))


class Prober:
    """Makes calls: `own` gives a valid value of the viewer's for a required argument, by its place."""

    def __init__(self, schema: GraphQLSchema, own: Callable[[str], Awaitable[Any]], nodes: Mapping[str, str]) -> None:
        self._schema = schema
        self._own = own
        self._nodes = nodes
        self._roots = {
            root.name: kind
            for root, kind in (
                (schema.query_type, "query"),
                (schema.mutation_type, "mutation"),
                (schema.subscription_type, "subscription"),
            )
            if root is not None
        }

    async def call(self, slot: Slot, value: Any) -> Call:
        """The call that puts a value into a slot and is in order otherwise."""
        return await self._call(slot.owner, slot.field, {slot.path: [value] if slot.many else value})

    async def connection(self, owner: GraphQLObjectType, field: str) -> Call:
        """The call for the first edges of a list."""
        return await self._call(owner, field, {})

    async def _call(self, owner: GraphQLObjectType, field_name: str, given: Mapping[tuple[str, ...], Any]) -> Call:
        field = owner.fields[field_name]
        variables, declared, passed = dict[str, Any](), list[str](), list[str]()
        for name, argument in field.args.items():
            chosen = {path[1:]: value for path, value in given.items() if path[0] == name}
            if chosen or is_required_argument(argument):
                variables[name] = await self._value(f"{owner.name}.{field_name}.{name}", argument, chosen)
        for path in given:
            variables |= {name: value for name, value in COMPANIONS.get(path[0], {}).items() if name in field.args}
        if "first" in field.args and "last" not in variables:
            variables["first"] = 2
        for name in variables:
            declared.append(f"${name}: {field.args[name].type}")
            passed.append(f"{name}: ${name}")
        arguments = f"({', '.join(passed)})" if passed else ""
        named = get_named_type(field.type)
        text = f"{field_name}{arguments}{_selection(self._schema, named, DEEPER.get(named.name, 2))}"
        kind = self._roots.get(owner.name)
        if kind is None:
            if owner.name == "Viewer":
                return Call("query", f"query Probe({', '.join(declared)}) {{ viewer {{ {text} }} }}", variables)
            if owner.name not in self._nodes:
                raise Unclassified(f"{owner.name}.{field_name} takes arguments, and no {owner.name} is at hand.")
            found = self._nodes[owner.name]
            if owner.name in BENEATH:
                text = f'{BENEATH[owner.name]}(id: "{found}") {{ {text} }}'
            else:
                text = f'node(id: "{found}") {{ ... on {owner.name} {{ {text} }} }}'
        head = f"{kind or 'query'} Probe({', '.join(declared)})" if declared else f"{kind or 'query'} Probe"
        return Call(kind or "query", f"{head} {{ {text} }}", variables)

    async def _value(
        self, place: str, argument: GraphQLArgument | GraphQLInputField, chosen: Mapping[tuple[str, ...], Any]
    ) -> Any:
        if () in chosen:
            return chosen[()]
        named = get_named_type(argument.type)
        if not isinstance(named, GraphQLInputObjectType):
            return await self._own(place)
        value: dict[str, Any] = dict(COMPANIONS.get(named.name, {}))
        if not chosen:
            value |= ONE_OF.get(named.name, {})
        for name, item in named.fields.items():
            inner = {path[1:]: given for path, given in chosen.items() if path[0] == name}
            if inner or is_required_input_field(item):
                value[name] = await self._value(f"{named.name}.{name}", item, inner)
                value |= COMPANIONS.get(f"{named.name}.{name}", {}) if inner else {}
        bare = argument.type.of_type if is_non_null_type(argument.type) else argument.type
        return [value] if is_list_type(bare) else value


@cache
def _selection(schema: GraphQLSchema, named: GraphQLNamedType, depth: int) -> str:
    """Everything that can be asked of a type down to a depth; the walk asks the same of it thousands of times."""
    if is_leaf_type(named):
        return ""
    if isinstance(named, GraphQLInterfaceType | GraphQLUnionType):
        seen: dict[str, str] = {}
        parts = [
            f"... on {each.name} {{ {_fields(schema, each, depth, seen)} }}"
            for each in schema.get_possible_types(named)
        ]
        return f" {{ __typename {' '.join(parts)} }}"
    if not isinstance(named, GraphQLObjectType):
        raise Unclassified(f"{named.name} is of a kind that this proof can't ask for.")
    return f" {{ __typename {_fields(schema, named, depth, {})} }}"


def _fields(schema: GraphQLSchema, owner: GraphQLObjectType, depth: int, seen: dict[str, str]) -> str:
    """Every field that can be asked for down to a depth; of members of a union, those that agree in their type."""
    parts = []
    for name, field in owner.fields.items():
        if seen.setdefault(name, str(field.type)) != str(field.type):
            continue
        asked = _field(schema, name, field, depth)
        if asked:
            parts.append(asked)
    return " ".join(parts) or "__typename"


def _field(schema: GraphQLSchema, name: str, field: GraphQLField, depth: int) -> str | None:
    named = get_named_type(field.type)
    if any(is_required_argument(argument) for argument in field.args.values()):
        return None
    if is_leaf_type(named):
        return name
    if depth <= 0:
        return None
    return f"{name}{'(first: 2)' if 'first' in field.args else ''}{_selection(schema, named, depth - 1)}"
