"""The whole graph: every node file's fields put together, and the SDL."""

from __future__ import annotations

from functools import cache
from typing import Any

import strawberry
from graphql import GraphQLInputObjectType, GraphQLSchema, get_nullable_type
from strawberry.schema.config import StrawberryConfig

from nexus_graph.api import user_errors
from nexus_graph.api.declarations import undeclared
from nexus_graph.api.fields import unguarded
from nexus_graph.api.nodes.assets import AssetMutation, AssetQuery
from nexus_graph.api.nodes.atoms import AtomMutation, AtomQuery
from nexus_graph.api.nodes.budgets import BudgetQuery
from nexus_graph.api.nodes.cards import CardMutation, CardQuery
from nexus_graph.api.nodes.consent import ConsentMutation, ConsentQuery
from nexus_graph.api.nodes.erasures import ErasureMutation, ErasureQuery
from nexus_graph.api.nodes.exports import ExportMutation, ExportQuery
from nexus_graph.api.nodes.locks import LockMutation, LockQuery
from nexus_graph.api.nodes.node import NodeQuery
from nexus_graph.api.nodes.packs import PackQuery
from nexus_graph.api.nodes.quotas import QuotaMutation, QuotaQuery
from nexus_graph.api.nodes.reindexing import IndexMutation
from nexus_graph.api.nodes.run_log import RunSubscription
from nexus_graph.api.nodes.runs import RunMutation, RunQuery
from nexus_graph.api.nodes.search import SearchQuery
from nexus_graph.api.nodes.sessions import SessionMutation, SessionQuery
from nexus_graph.api.nodes.settings import SettingsQuery, SettingsSubscription
from nexus_graph.api.nodes.switches import SwitchMutation, SwitchQuery
from nexus_graph.api.nodes.tenants import TenantMutation, TenantQuery
from nexus_graph.api.nodes.tickets import TicketMutation
from nexus_graph.api.operations.costing import Prices
from nexus_graph.api.scalars import SCALARS
from nexus_graph.api.strawberry_inside import describe_directives, graph_of, is_one_of
from nexus_graph.scope.errors import ConfigurationError


@strawberry.type(description="Everything that can be asked.")
class Query(
    NodeQuery,
    TenantQuery,
    AssetQuery,
    AtomQuery,
    CardQuery,
    SettingsQuery,
    SearchQuery,
    PackQuery,
    RunQuery,
    LockQuery,
    SwitchQuery,
    BudgetQuery,
    QuotaQuery,
    ConsentQuery,
    SessionQuery,
    ExportQuery,
    ErasureQuery,
):
    """All queries."""


@strawberry.type(description="Everything that can be done.")
class Mutation(
    TenantMutation,
    TicketMutation,
    AssetMutation,
    AtomMutation,
    CardMutation,
    IndexMutation,
    RunMutation,
    LockMutation,
    SwitchMutation,
    QuotaMutation,
    ConsentMutation,
    SessionMutation,
    ExportMutation,
    ErasureMutation,
):
    """All mutations."""


@strawberry.type(description="Everything that can be followed live.")
class Subscription(RunSubscription, SettingsSubscription):
    """All subscriptions."""


class Schema(strawberry.Schema):
    """A schema that knows its prices. `api.operations` runs operations over its `graph`, not its own methods."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.graph = graph_of(self)
        _finish(self.graph)
        describe_directives(self)
        self.prices = Prices(self, self.graph)


def _finish(graph: GraphQLSchema) -> None:
    """What the library does not say of our types to its own rules.

    A field of a query or mutation may be null: one that is refused leaves the others their answers. An input with one
    member of several is checked by the rules for it, before anything runs.
    """
    for root in (graph.query_type, graph.mutation_type):
        for field in root.fields.values() if root else ():
            field.type = get_nullable_type(field.type)
    for kind in graph.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            kind.is_one_of = is_one_of(kind)


def build() -> Schema:
    """The schema. Raises ConfigurationError when a resolver declares no permission, or a mutation not all its gates."""
    schema = _schema(sorted_for_print=False)
    if found := unguarded(schema):
        raise ConfigurationError(f"These fields declare no permission: {', '.join(found)}. Use api.fields.")
    if missing := undeclared(schema):
        raise ConfigurationError(f"{'; '.join(missing)}. Use api.fields and the inputs of api.idempotency.")
    return schema


@cache
def built() -> Schema:
    """The schema that all houses of a process share, for nothing changes it: built once. Raises as `build` does."""
    return build()


def sdl() -> str:
    """The printed schema, as `schema/nexus.graphql` holds it."""
    return _schema(sorted_for_print=True).as_str() + "\n"


def _schema(*, sorted_for_print: bool) -> Schema:
    # Sorting makes new types that forget how to resolve unions and enums: good for printing only.
    return Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=user_errors.TYPES,
        config=StrawberryConfig(sort_schema=sorted_for_print, scalar_map=SCALARS),
    )
