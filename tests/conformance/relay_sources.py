"""Source modules for relay-compiler, generated from the schema so that no node and no connection is forgotten.

For each type that is a Node a refetchable fragment with all its plain fields; for each field that gives a connection
three paginated ones: forwards, backwards, both ways. A connection of a type that `node(id:)` doesn't find is reached
from Query.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    is_introspection_type,
    is_leaf_type,
    is_required_argument,
)

PAGED = {
    "Forwards": {"first": "Int", "after": "String"},
    "Backwards": {"last": "Int", "before": "String"},
    "BothWays": {"first": "Int", "after": "String", "last": "Int", "before": "String"},
}
Place = tuple[str, GraphQLField]


@dataclass(frozen=True, slots=True)
class Source:
    """A module, the names of what it is compiled to, and what it is about: `Asset`, `Asset.citedBy`."""

    module: str
    about: str
    text: str
    compiled: tuple[str, ...]


def node_sources(schema: GraphQLSchema) -> Iterator[Source]:
    """A refetchable fragment for each type that is a Node."""
    node = schema.type_map["Node"]
    if not isinstance(node, GraphQLInterfaceType):
        raise TypeError("Node is no interface")
    for kind in schema.get_possible_types(node):
        fragment, query = f"{kind.name}_again", f"{kind.name}AgainQuery"
        text = f'fragment {fragment} on {kind.name} @refetchable(queryName: "{query}") {{ {_plain(kind)} }}'
        yield Source(kind.name, kind.name, f"graphql`{text}`;\n", (fragment, query))


def connection_sources(schema: GraphQLSchema) -> Iterator[Source]:
    """Three paginated fragments for each field that gives a connection."""
    node = schema.type_map["Node"]
    for owner in schema.type_map.values():
        if not isinstance(owner, GraphQLObjectType) or is_introspection_type(owner):
            continue
        for name, field in owner.fields.items():
            if get_named_type(field.type).name.endswith("Connection"):
                refetchable = owner is schema.query_type or node in owner.interfaces
                way = [] if refetchable else way_to(schema, owner)
                yield _paginated(owner.name if refetchable else "Query", owner.name, [*way, (name, field)])


def way_to(schema: GraphQLSchema, wanted: GraphQLObjectType) -> list[Place]:
    """The shortest way from Query through single objects. Raises ValueError when there is none."""
    if schema.query_type is None:
        raise ValueError("no Query")
    ways: list[tuple[GraphQLObjectType, list[Place]]] = [(schema.query_type, [])]
    seen = {schema.query_type.name}
    for kind, way in ways:  # grows while it is walked
        if kind is wanted:
            return way
        for name, field in kind.fields.items():
            next_kind = get_nullable_type(field.type)
            if isinstance(next_kind, GraphQLObjectType) and next_kind.name not in seen:
                seen.add(next_kind.name)
                ways.append((next_kind, [*way, (name, field)]))
    raise ValueError(f"{wanted.name} is neither a Node nor within reach of Query")


def _paginated(start: str, owner: str, way: list[Place]) -> Source:
    name = way[-1][0]
    module = f"{owner}{name[0].upper()}{name[1:]}"
    needed = {f"{step}_{argument}": kind for step, field in way for argument, kind in _needed(field).items()}
    fragments, compiled = [], []
    for direction, paged in PAGED.items():
        fragment, query = f"{module}_{direction}", f"{module}{direction}Query"
        variables = " ".join(f'{variable}: {{type: "{kind}"}}' for variable, kind in (needed | paged).items())
        fragments.append(
            f'graphql`fragment {fragment} on {start} @refetchable(queryName: "{query}")'
            f" @argumentDefinitions({variables}) {{ {_selection(way, paged, f'{module}_{name}')} }}`;\n"
        )
        compiled += [fragment, query]
    return Source(module, f"{owner}.{name}", "".join(fragments), tuple(compiled))


def _selection(way: list[Place], paged: Iterable[str], key: str) -> str:
    """The way's last field is the connection."""
    (name, field), *steps = reversed(way)
    selection = f'{_asked(name, field, paged)} @connection(key: "{key}") {{ {_page_of(field)} }}'
    for step, its in steps:
        selection = f"{_asked(step, its)} {{ {selection} }}"
    return selection


def _asked(name: str, field: GraphQLField, paged: Iterable[str] = ()) -> str:
    """A field with the arguments that it needs, each from a variable."""
    given = {argument: f"{name}_{argument}" for argument in _needed(field)} | {argument: argument for argument in paged}
    arguments = ", ".join(f"{argument}: ${variable}" for argument, variable in given.items())
    return f"{name}({arguments})" if arguments else name


def _needed(field: GraphQLField) -> dict[str, str]:
    return {name: str(argument.type) for name, argument in field.args.items() if is_required_argument(argument)}


def _page_of(field: GraphQLField) -> str:
    connection = get_named_type(field.type)
    if not isinstance(connection, GraphQLObjectType):
        raise TypeError(f"{connection.name} is no object")
    edge = get_named_type(connection.fields["edges"].type)
    item = get_named_type(edge.fields["node"].type) if isinstance(edge, GraphQLObjectType) else edge
    return f"edges {{ cursor node {{ {_plain(item)} }} }} pageInfo {{ hasNextPage hasPreviousPage }}"


def _plain(kind: object) -> str:
    """Every field without a selection and without arguments that it needs."""
    fields = kind.fields.items() if isinstance(kind, GraphQLObjectType) else ()
    plain = [name for name, field in fields if is_leaf_type(get_named_type(field.type)) and not _needed(field)]
    return " ".join(["__typename", *plain])
