"""Operations that no client would write but that the schema allows, or all but allows: by hypothesis-graphql.

Half of them are brought closer to life: their ids name real things, their pages have sizes that are served.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    IntValueNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    print_ast,
    visit,
)
from hypothesis import strategies as st
from hypothesis_graphql import Mode, mutations, nodes, queries
from journey_house import Caller
from journey_steps import derive, kept, published

SCALARS = {
    "BigInt": st.integers().map(nodes.Int),
    "DateTime": (st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | st.text()).map(nodes.String),
    "JSON": st.text().map(nodes.String) | st.integers().map(nodes.Int) | st.builds(nodes.Object, st.just([])),
}
MAKE = """mutation Make($asset: ID!) {
  atoms: deriveAtoms(input: { assetId: $asset }) { asset { atoms(first: 1) { edges { node { id } } } } }
  run: openRun(input: { title: "A run." }) { run { id } }
  lock: proposeLock(input: { reason: "It is time.", change: { reindex: true } }) { lock { id } }
  erasure: planErasure(input: { kind: SUBJECT, subject: "somebody" }) { erasure { id } }
  export: startExport(input: { kinds: [CARD] }) { export { id } }
}"""
PACK = '{ influencePack(ask: { text: "a card" }) { id } }'


class Root(NamedTuple):
    """A field at the root of the graph."""

    kind: OperationType
    name: str

    def takes_arguments(self, schema: GraphQLSchema) -> bool:
        """Whether it can be asked for one thing or another."""
        root = schema.get_root_type(self.kind)
        return root is not None and bool(root.fields[self.name].args)


def roots(schema: GraphQLSchema) -> list[Root]:
    """Every field that can be asked over HTTP."""
    return [
        Root(kind, name) for kind in (OperationType.QUERY, OperationType.MUTATION) for name in _fields(schema, kind)
    ]


def streams(schema: GraphQLSchema) -> list[Root]:
    """Every field that can be followed."""
    return [Root(OperationType.SUBSCRIPTION, name) for name in _fields(schema, OperationType.SUBSCRIPTION)]


def _fields(schema: GraphQLSchema, kind: OperationType) -> list[str]:
    root = schema.get_root_type(kind)
    return list(root.fields) if root is not None else []


def operations(schema: GraphQLSchema, root: Root, ids: Sequence[str]) -> st.SearchStrategy[str]:
    """Documents that ask one root field: valid ones, and ones with a single fault."""
    shape: dict[str, Any] = {"fields": [root.name], "custom_scalars": SCALARS, "print_ast": lambda document: document}
    takes_arguments = root.takes_arguments(schema)
    if root.kind is OperationType.SUBSCRIPTION:
        schema, kind = _as_queries(schema), queries
    else:
        kind = queries if root.kind is OperationType.QUERY else mutations
    valid: st.SearchStrategy[DocumentNode] = kind(schema, **shape)
    lively = st.builds(_enlivened, st.just(schema), valid, st.lists(st.sampled_from(list(ids)), min_size=1, max_size=4))
    made = valid | lively | lively
    if takes_arguments:  # else the generator finds nothing to get wrong
        made |= kind(schema, mode=Mode.NEGATIVE, **shape)
    return made.map(lambda document: print_ast(_of_kind(document, root.kind)))


def _as_queries(schema: GraphQLSchema) -> GraphQLSchema:
    """The schema with its subscriptions as its queries: the generator makes none."""
    shape: dict[str, Any] = {**schema.to_kwargs()}
    return GraphQLSchema(**shape | {"query": schema.subscription_type, "mutation": None, "subscription": None})


def _of_kind(document: DocumentNode, kind: OperationType) -> DocumentNode:
    if kind is not OperationType.SUBSCRIPTION:
        return document
    made: DocumentNode = visit(document, _Kind())
    return made


class _Kind(Visitor):
    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> OperationDefinitionNode:
        return OperationDefinitionNode(
            operation=OperationType.SUBSCRIPTION, selection_set=node.selection_set, name=None, directives=()
        )


def _enlivened(schema: GraphQLSchema, document: DocumentNode, ids: Sequence[str]) -> DocumentNode:
    types = TypeInfo(schema)
    made: DocumentNode = visit(document, TypeInfoVisitor(types, _Lively(types, ids)))
    return made


class _Lively(Visitor):
    """Puts real ids in the place of ids, and page sizes that are served in the place of sizes."""

    def __init__(self, types: TypeInfo, ids: Sequence[str]) -> None:
        super().__init__()
        self._types = types
        self._ids = ids
        self._put = 0

    def enter_string_value(self, node: StringValueNode, *_: Any) -> StringValueNode | None:
        if getattr(get_named_type(self._types.get_input_type()), "name", None) != "ID":
            return None
        self._put += 1
        return StringValueNode(value=self._ids[self._put % len(self._ids)])

    def leave_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        given = {argument.name.value: argument for argument in node.arguments or ()}
        if not {"first", "last"} & set(given):
            return None
        kept = [argument for name, argument in given.items() if name not in {"first", "last", "after", "before"}]
        size = ArgumentNode(name=NameNode(value="first"), value=IntValueNode(value=str(1 + self._put % 5)))
        shape = {key: getattr(node, key) for key in ("name", "alias", "directives", "selection_set")}
        return FieldNode(arguments=(*kept, size), **shape)


def inhabited(owner: Caller) -> list[str]:
    """Put something of everything into a tenant; returns ids of each kind of it."""
    asset = kept(owner, "notes.txt", "text/plain", b"One paragraph.\n\nAnother one.\n")
    derive(owner, asset)
    card = published(owner, "---\nkey: fuzzed\ncard_type: note\n---\nA card to be asked for.\n")["id"]
    made = owner.ask(MAKE, {"asset": asset})
    atom = made["atoms"]["asset"]["atoms"]["edges"][0]["node"]["id"]
    rest = [payload[kind]["id"] for kind, payload in made.items() if kind != "atoms"]
    return [asset, atom, card, owner.ask(PACK)["influencePack"]["id"], *rest]
