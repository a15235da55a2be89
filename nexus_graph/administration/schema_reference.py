"""Renders docs/schema.md: the whole schema for reading, from its SDL. `documenting` writes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    DirectiveNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_introspection_type,
    is_required_argument,
    is_specified_directive,
    is_specified_scalar_type,
    print_ast,
    value_from_ast_untyped,
)

from nexus_graph.administration.documenting import table

Composite = GraphQLObjectType | GraphQLInterfaceType

_INTRODUCTION = """\
# Schema

Every query, mutation, subscription and type, rendered from `schema/nexus.graphql`. Do not edit this page: change the
field, then run `python -m nexus_graph.administration.documenting`.

`!` means never null. Points are what a field costs of the [budget](graphql.md). An argument without a default and
without `!` may be left out.
"""
_PAGES = """\
A type that ends in `Connection` is a page: `edges`, each with its `cursor` and `node`, and
[`pageInfo`](#pageinfo). Every field that gives one takes, beside what is written there, one of `first` and `last`:
"""
_ROOTS = {"Queries": "Query", "Mutations": "Mutation", "Subscriptions": "Subscription"}
_KINDS: Mapping[str, type[GraphQLNamedType]] = {
    "Objects": GraphQLObjectType,
    "Interfaces": GraphQLInterfaceType,
    "Unions": GraphQLUnionType,
    "Inputs": GraphQLInputObjectType,
    "Enums": GraphQLEnumType,
    "Scalars": GraphQLScalarType,
}
_PAGING = ("first", "after", "last", "before")
_EDGES = {"edges", "pageInfo"}, {"cursor", "node"}


def schema_page(sdl: str) -> str:
    """The reference of a printed schema, as Markdown: root fields, pages, types by kind, directives."""
    schema = build_schema(sdl)
    parts: list[str] = []
    for heading, root in _ROOTS.items():
        kind = schema.type_map.get(root)
        if isinstance(kind, GraphQLObjectType):
            parts += [f"## {heading}\n", *[_root_field(name, field) for name, field in sorted(kind.fields.items())]]
    parts += ["## Pages\n", _PAGES, *_pages(schema)]
    for heading, wanted in _KINDS.items():
        kinds = [kind for kind in schema.type_map.values() if isinstance(kind, wanted) and _has_entry(kind)]
        if kinds:
            parts += [f"## {heading}\n", *[part for kind in sorted(kinds, key=str) for part in _entry(schema, kind)]]
    parts += _directives(schema)
    headings = [part[3:].strip() for part in parts if part.startswith("## ")]
    contents = ", ".join(f"[{heading}](#{heading.lower()})" for heading in headings)
    return "\n".join([_INTRODUCTION, f"{contents}.\n", *parts])


def _has_entry(kind: GraphQLNamedType) -> bool:
    hidden = is_introspection_type(kind) or is_specified_scalar_type(kind) or kind.name in _ROOTS.values()
    return not hidden and not _is_page(kind)


def _is_page(kind: GraphQLNamedType) -> bool:
    """Whether it is a connection or an edge, and nothing more."""
    ending = kind.name.endswith(("Connection", "Edge"))
    return ending and isinstance(kind, GraphQLObjectType) and set(kind.fields) in _EDGES


def _root_field(name: str, field: GraphQLField) -> str:
    arguments = "".join(f"- {_argument(*each)}\n" for each in _arguments(field))
    return f"**{name}**: {_type(field.type)} ({_gates(field)})\n\n{_text(field)}\n" + (arguments and f"\n{arguments}")


def _arguments(field: GraphQLField) -> Iterator[tuple[str, GraphQLArgument]]:
    """Needed ones first, without those of every page."""
    paged = _is_page(get_named_type(field.type))
    found = [(name, each) for name, each in field.args.items() if not (paged and name in _PAGING)]
    yield from sorted(found, key=lambda pair: (not is_required_argument(pair[1]), pair[0]))


def _argument(name: str, argument: GraphQLArgument | GraphQLInputField) -> str:
    return f"`{name}` {_type(argument.type)}{_default(argument)}: {_text(argument)}"


def _default(argument: GraphQLArgument | GraphQLInputField) -> str:
    node = argument.ast_node.default_value if argument.ast_node else None
    written = print_ast(node) if node else "null"
    return "" if written == "null" else f" = `{written}`"


def _type(kind: Any) -> str:
    """A type as GraphQL writes it, its name a link to where it is told of."""
    named = get_named_type(kind)
    before, name, after = str(kind).partition(named.name)
    if not is_specified_scalar_type(named):
        name = f"[{name}](#{'pages' if _is_page(named) else name.lower()})"
    return before.replace("[", "\\[") + name + after.replace("]", "\\]")


def _text(member: Any) -> str:
    """The description in one line, and the reason of a deprecation."""
    reason = getattr(member, "deprecation_reason", None)
    return (f"**Deprecated:** {reason} " if reason else "") + " ".join((member.description or "").split())


def _gates(field: GraphQLField) -> str:
    """What the field's directives demand: permission, points, lock; empty without any."""
    used = {each.name.value: _values(each) for each in (field.ast_node.directives if field.ast_node else None) or ()}
    points = used["cost"]["points"] if "cost" in used else None
    found = [
        f"`{used['guard']['permission']}`" if "guard" in used else "",
        f"{points} point{'' if points == 1 else 's'}" if points is not None else "",
        f"needs a Strategy Lock: {used['locked']['when']}" if "locked" in used else "",
        "never halted" if "unstoppable" in used else "",
    ]
    return ", ".join(filter(None, found))


def _values(directive: DirectiveNode) -> dict[str, Any]:
    return {each.name.value: value_from_ast_untyped(each.value) for each in directive.arguments or ()}


def _pages(schema: GraphQLSchema) -> Iterator[str]:
    """What every paged field takes, as the first of them says, and what there are pages of."""
    kinds = [kind for kind in schema.type_map.values() if isinstance(kind, Composite)]
    fields = [field for kind in kinds for field in kind.fields.values()]
    paged = [field for field in fields if get_named_type(field.type).name.endswith("Connection")]
    for field in paged[:1]:
        yield "".join(f"- {_argument(name, field.args[name])}\n" for name in _PAGING if name in field.args)
    rows = []
    for kind in sorted((kind for kind in kinds if _is_page(kind) and "edges" in kind.fields), key=str):
        edge = get_named_type(kind.fields["edges"].type)
        node = _type(edge.fields["node"].type) if isinstance(edge, Composite) else ""
        rows.append([f"`{kind.name}`", f"`{edge.name}`", node])
    if rows:
        yield table(["page", "edge", "node"], rows)


def _entry(schema: GraphQLSchema, kind: GraphQLNamedType) -> Iterator[str]:
    yield f"### {kind.name}\n"
    yield f"{_text(kind)}\n"
    if isinstance(kind, Composite) and kind.interfaces:
        yield f"It is a {_names(kind.interfaces)}.\n"
    if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
        yield f"One of {_names(schema.get_possible_types(kind))}.\n"
    if isinstance(kind, Composite):
        yield table(["field", "type", "what it is"], [_field_row(*each) for each in sorted(kind.fields.items())])
    elif isinstance(kind, GraphQLInputObjectType):
        if kind.is_one_of:
            yield "Exactly one of its fields is given.\n"
        yield table(["field", "type", "what it is"], [_input_row(*each) for each in sorted(kind.fields.items())])
    elif isinstance(kind, GraphQLEnumType):
        yield table(["value", "what it means"], [[f"`{name}`", _text(each)] for name, each in kind.values.items()])


def _names(kinds: Any) -> str:
    return ", ".join(_type(kind) for kind in sorted(kinds, key=str))


def _field_row(name: str, field: GraphQLField) -> list[str]:
    gates = _gates(field)
    words = [_text(field), *[_argument(*each) for each in _arguments(field)], *([f"({gates})"] if gates else [])]
    return [f"`{name}`", _type(field.type), " ".join(words)]


def _input_row(name: str, field: GraphQLInputField) -> list[str]:
    return [f"`{name}`", _type(field.type) + _default(field), _text(field)]


def _directives(schema: GraphQLSchema) -> Iterator[str]:
    own = [each for each in schema.directives if not is_specified_directive(each)]
    rows = [
        [f"`@{each.name}`", " ".join(_argument(*its) for its in each.args.items()) or "-", _text(each)]
        for each in sorted(own, key=lambda each: each.name)
    ]
    if rows:
        yield "## Directives\n"
        yield table(["directive", "takes", "what it means"], rows)
