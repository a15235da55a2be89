"""The schema is what the file says, breaks nothing that was released, and keeps its manners in every field."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from graphql import (
    FieldDefinitionNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    StringValueNode,
    build_schema,
    get_named_type,
    is_introspection_type,
    is_specified_directive,
    parse,
    validate,
)
from house_tree import DOCS, SCHEMA
from shipped import graph, printed

from nexus_graph import app
from nexus_graph.administration.releasing import untold
from nexus_graph.administration.schema_reference import schema_page
from nexus_graph.api import schema as api_schema
from nexus_graph.api.context import Info
from nexus_graph.api.fields import read, stoppable, unguarded
from nexus_graph.api.nodes import node as node_module
from nexus_graph.api.nodes import switches as switch_node
from nexus_graph.safeguards.switches import UNSTOPPABLE, Known, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.scope.errors import ConfigurationError
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.work import Stores

REFRESH = "run `python -m nexus_graph.administration.documenting` at the top of the checkout"
OPERATIONS = sorted((SCHEMA / "operations").rglob("*.graphql"))
SDL, BUILT = printed(), graph()
PRINTED_TYPES = [named for name, named in BUILT.type_map.items() if not is_introspection_type(named)]
Composite = GraphQLObjectType | GraphQLInterfaceType


def fields(schema: GraphQLSchema = BUILT) -> Iterator[tuple[str, Composite, GraphQLField]]:
    """Every field of an object or interface: `Query.card`, its type, the field."""
    for name, named in schema.type_map.items():
        if isinstance(named, Composite) and not is_introspection_type(named):
            yield from ((f"{name}.{field_name}", named, field) for field_name, field in named.fields.items())


def guard(field: GraphQLField) -> str | None:
    """The permission in a field's `@guard`."""
    node = field.ast_node
    for directive in node.directives or () if isinstance(node, FieldDefinitionNode) else ():
        for argument in directive.arguments or () if directive.name.value == "guard" else ():
            return argument.value.value if isinstance(argument.value, StringValueNode) else None
    return None


def undescribed(schema: GraphQLSchema) -> set[str]:
    """Everything in a schema without a description of its own."""
    found: dict[str, str | None] = {}
    for name, named in schema.type_map.items():
        if is_introspection_type(named) or name in ("String", "Int", "Float", "Boolean", "ID"):
            continue
        found[name] = named.description
        if isinstance(named, GraphQLEnumType):
            found |= {f"{name}.{value}": each.description for value, each in named.values.items()}
        if isinstance(named, GraphQLInputObjectType):
            found |= {f"{name}.{member}": each.description for member, each in named.fields.items()}
    for name, _, field in fields(schema):
        found[name] = field.description
        found |= {f"{name}({argument})": each.description for argument, each in field.args.items()}
    for directive in schema.directives:
        if not is_specified_directive(directive):
            found[f"@{directive.name}"] = directive.description
            found |= {f"@{directive.name}({argument})": each.description for argument, each in directive.args.items()}
    return {name for name, description in found.items() if not (description or "").strip()}


def test_the_printed_schema_is_the_file() -> None:
    """schema/nexus.graphql is what the server serves."""
    kept = (SCHEMA / "nexus.graphql").read_text("utf-8")
    assert kept == SDL, "run `nexus-graph schema > schema/nexus.graphql`"


def test_every_breaking_change_is_in_the_changelog() -> None:
    """A change that a client of the released schema would notice stands, word for word, under Unreleased."""
    released, changelog = SCHEMA / "released.graphql", DOCS / "changelog.md"
    assert untold(released.read_text("utf-8"), SDL, changelog.read_text("utf-8")) == []


def test_a_breaking_change_would_be_seen() -> None:
    """Told under Unreleased, word for word, it passes; told elsewhere or not at all, it doesn't."""
    with_it, without = "type Query { other: Int viewer: Int }", "type Query { other: Int }"
    told = "Field Query.viewer was removed."
    assert untold(with_it, without, "# Changelog\n\n## Unreleased\n\n- Nothing.\n") == [told]
    assert untold(with_it, without, f"# Changelog\n\n## Unreleased\n\n- Nothing.\n\n## 0.1.0\n\n- {told}\n") == [told]
    assert untold(with_it, without, f"# Changelog\n\n## Unreleased\n\n- {told} Ask for more.\n") == []
    assert untold(SDL, SDL, "") == []


def test_the_reference_is_current() -> None:
    """docs/schema.md says what the schema says now."""
    assert (DOCS / "schema.md").read_text("utf-8") == schema_page(SDL), REFRESH


def test_the_reference_tells_everything() -> None:
    """Every type, field, argument, input field and enum value that the schema has, with its text and its permission."""
    page = schema_page(SDL).replace("\\|", "|")
    told = re.sub(r"\s+", " ", page)
    for name, owner, field in fields():
        if name.startswith(("Query.", "Mutation.", "Subscription.")):
            assert f"**{name.partition('.')[2]}**: " in page, name
        elif not owner.name.endswith(("Connection", "Edge")):
            assert f"| `{name.partition('.')[2]}` |" in page.partition(f"### {owner.name}\n")[2], name
            assert " ".join((field.description or "").split()) in told
        for argument, each in field.args.items():
            assert f"`{argument}` " in page, f"{name}({argument})"
            assert " ".join((each.description or "").split()) in told
        assert f"`{guard(field) or ''}" in page
    for named in PRINTED_TYPES:
        if isinstance(named, GraphQLEnumType | GraphQLInputObjectType):
            members = named.values if isinstance(named, GraphQLEnumType) else named.fields
            part = page.partition(f"### {named.name}\n")[2]
            assert [name for name in members if f"| `{name}` |" not in part] == [], named.name


def test_the_reference_says_what_is_deprecated() -> None:
    """With the reason, for a field, an argument and an enum value; an input of which one field is taken says so."""
    page = schema_page(
        'directive @guard(permission: String!) on FIELD_DEFINITION "Q." type Query {'
        ' "F." f(a: I, "B." b: Int @deprecated(reason: "no b")): E'
        ' @guard(permission: "x:y") @deprecated(reason: "no f") }'
        ' "E." enum E { "V." V @deprecated(reason: "no v") } "I." input I @oneOf { "C." c: Int }'
    )
    assert "**f**: [E](#e) (`x:y`)\n\n**Deprecated:** no f F.\n" in page
    assert "- `b` Int: **Deprecated:** no b B.\n" in page
    assert "| `V` | **Deprecated:** no v V. |" in page
    assert "Exactly one of its fields is given." in page


def test_everything_is_described() -> None:
    """Types, fields, enum values, input fields, directives, arguments of both: each has a text, printed and served."""
    assert undescribed(BUILT) == set()
    assert undescribed(api_schema.build().graph) == set()


def test_a_missing_description_would_be_seen() -> None:
    """Of each kind of thing."""
    bare = build_schema(
        "directive @a(j: Int) on FIELD_DEFINITION"
        " type Query { b(c: D, e: F): G } input D { h: Int } enum F { I } scalar G"
    )
    of_query = {"Query", "Query.b", "Query.b(c)", "Query.b(e)"}
    assert undescribed(bare) == of_query | {"D", "D.h", "F", "F.I", "G", "@a", "@a(j)"}


def test_a_mutation_takes_one_input_and_tells_refusals_as_data() -> None:
    """`verbNoun(input: ...Input!): ...Payload`, with `userErrors: [UserError!]!`, and a verb in the name.

    The payload may be null, as every field of the roots: what is refused otherwise leaves the others their answers.
    """
    assert BUILT.mutation_type is not None
    for name, field in BUILT.mutation_type.fields.items():
        assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)+|reindex", name)  # that one verb holds its noun
        assert [(argument, str(each.type)) for argument, each in field.args.items()] == [
            ("input", f"{name[0].upper()}{name[1:]}Input!")
        ]
        payload = get_named_type(field.type)
        assert isinstance(payload, GraphQLObjectType)
        assert payload.name.endswith("Payload")
        assert not isinstance(field.type, GraphQLNonNull)
        assert str(payload.fields["userErrors"].type) == "[UserError!]!"


def test_a_mutation_can_be_repeated_safely() -> None:
    """Every input has an idempotency key, but for what is idempotent by itself or shows a secret once."""
    assert BUILT.mutation_type is not None
    without = {
        name
        for name, field in BUILT.mutation_type.fields.items()
        if "idempotencyKey" not in _members(field.args["input"])
    }
    assert without == {"createKey", "createStreamTicket", "revokeKey"}


def _members(argument: GraphQLArgument) -> dict[str, Any]:
    named = get_named_type(argument.type)
    assert isinstance(named, GraphQLInputObjectType)
    return dict(named.fields)


def test_every_connection_pages_both_ways() -> None:
    """A field that gives a connection takes first, after, last and before; its shape is Relay's."""
    found = 0
    for name, _, field in fields():
        named = get_named_type(field.type)
        if not named.name.endswith("Connection") or not isinstance(named, GraphQLObjectType):
            continue
        found += 1
        taken = {argument: str(each.type) for argument, each in field.args.items()}
        assert taken | {"first": "Int", "after": "String", "last": "Int", "before": "String"} == taken, name
        assert str(named.fields["pageInfo"].type) == "PageInfo!"
        edge = get_named_type(named.fields["edges"].type)
        assert isinstance(edge, GraphQLObjectType)
        assert str(edge.fields["cursor"].type) == "String!"
        assert set(edge.fields) == {"node", "cursor"}
    assert found >= 10


def test_no_list_of_rows_is_unbounded() -> None:
    """A list of nodes is a connection; the few plain lists of nodes are bounded by what they hang on."""
    bounded = {
        "Query.nodes": "as many as ids were given, at most 100",
        "Settings.apps": "the cards of one surface",
        "Settings.connectors": "the cards of one surface",
        "Settings.locks": "the open ones of one surface, at most 100",
    }
    node = BUILT.type_map["Node"]
    found = {
        name
        for name, owner, field in fields()
        if _is_list(field.type) and not owner.name.endswith("Connection") and _is_node(get_named_type(field.type), node)
    }
    assert found == set(bounded)


def test_every_node_can_be_fetched_again() -> None:
    """Each type that is a Node is one that `node(id:)` finds by its id."""
    node = BUILT.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    finder = inspect.getsource(node_module)
    assert {kind.name for kind in BUILT.get_possible_types(node) if f"{kind.name}.of(" not in finder} == set()


def _is_list(kind: Any) -> bool:
    return isinstance(kind.of_type if isinstance(kind, GraphQLNonNull) else kind, GraphQLList)


def _is_node(named: Any, node: Any) -> bool:
    return named is node or (isinstance(named, Composite) and node in named.interfaces)


def test_every_entry_is_guarded_with_a_right_that_exists() -> None:
    """All fields of the three root types, and every field anywhere that takes an argument, name a permission."""
    roots = {BUILT.query_type, BUILT.mutation_type, BUILT.subscription_type}
    known = {right.value for right in Permission}
    open_doors = {name for name, owner, field in fields() if (owner in roots or field.args) and guard(field) is None}
    assert open_doors == set()
    assert {right for _, _, field in fields() if (right := guard(field)) is not None} <= known


def test_no_field_has_an_unguarded_resolver() -> None:
    """Neither in the printed schema nor behind it."""
    assert unguarded(api_schema.build()) == []


def _small(*, guarded: bool) -> type:
    async def secret(self: Any, info: Info) -> str:
        return "told"

    field = read(Permission.VIEWER_READ, "Guarded.")(secret) if guarded else strawberry.field(secret)
    return strawberry.type(type("Query", (), {"secret": field}))


def test_an_unguarded_resolver_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver declared past `api.fields` is named, and the server does not start with it."""
    assert unguarded(strawberry.Schema(query=_small(guarded=True))) == []
    assert unguarded(strawberry.Schema(query=_small(guarded=False))) == ["Query.secret"]
    monkeypatch.setattr(api_schema, "Query", _small(guarded=False))
    with pytest.raises(ConfigurationError, match=r"declare no permission: Query\.secret"):
        api_schema.build()


def test_what_no_switch_halts_is_what_the_schema_says() -> None:
    """The gate's list and the fields declared @unstoppable are the same; everything else at the root can be halted."""
    roots = {BUILT.query_type, BUILT.mutation_type, BUILT.subscription_type}
    entries = {name.partition(".")[2]: field for name, owner, field in fields() if owner in roots}
    declared = {name for name, field in entries.items() if _declares(field, "unstoppable")}
    assert declared == UNSTOPPABLE
    assert stoppable(api_schema.build()) == set(entries) - declared


def _declares(field: GraphQLField, name: str) -> bool:
    node = field.ast_node
    directives = node.directives if isinstance(node, FieldDefinitionNode) else ()
    return any(directive.name.value == name for directive in directives or ())


async def test_every_follower_can_be_halted(stores: Stores, scope_of: Callable[..., Scope]) -> None:
    """What runs beside the server stands still where everything is halted, and by the name that the door knows."""
    provider = SimpleNamespace(provider="hashing")
    index = SimpleNamespace(embedder=provider, copies=SimpleNamespace())
    house: Any = SimpleNamespace(sandbox=None, index=index, consent_steps=(), eraser=None)
    never = {"erasures": "what an owner has confirmed is erased, whatever else stands still"}
    known = Known(frozenset({*switch_node.FOLLOWERS, "reindex"}), frozenset())
    await engage(stores, scope_of(), known, Target.EVERYTHING, "", "A test.")
    for name in known.actions:
        await engage(stores, scope_of("t_globex"), known, Target.ACTION, name, "A test.")
    started = app.followers(house)
    assert {follower.name for follower in started} == {*switch_node.FOLLOWERS, "rebuild", "copies", *never}
    for follower in started:
        for tenant, halted in (("t_acme", True), ("t_globex", True), ("t_other", False)):
            async with stores.read(scope_of(tenant)) as read:
                assert await follower.halted(read) is (halted and follower.name not in never), follower.name


def test_the_scope_never_comes_from_an_argument() -> None:
    """No argument or input field names a tenant or env: they come with the connection."""
    names = {argument for _, _, field in fields() for argument in field.args}
    for named in PRINTED_TYPES:
        if isinstance(named, GraphQLInputObjectType):
            names |= set(named.fields)
    assert {name for name in names if re.search(r"tenant|env\b|environment", name, re.IGNORECASE)} == set()


@pytest.mark.parametrize("file", OPERATIONS, ids=lambda file: file.stem)
def test_a_shipped_document_is_valid(file: Path) -> None:
    """It validates against the schema and holds exactly one operation, named like its file."""
    document = parse(file.read_text("utf-8"))
    assert [error.message for error in validate(BUILT, document)] == []
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    assert [each.name.value if each.name else None for each in operations] == [file.stem]


def test_no_two_shipped_documents_share_a_name() -> None:
    """A name means one document, whatever folder it lies in."""
    assert len({file.stem for file in OPERATIONS}) == len(OPERATIONS) > 10
