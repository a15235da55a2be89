"""What ships with the product and many tests use: read once, also for the programs that are forked."""

from __future__ import annotations

from functools import cache

from graphql import GraphQLSchema, build_schema

from nexus_graph.api.schema import sdl
from nexus_graph.cards import Manifests
from nexus_graph.scope.policy import Policy
from nexus_graph.scope.resources import resource

MANIFESTS = Manifests.load(resource("core/manifests"))
POLICY = Policy.load(resource("casbin_model.conf"), resource("policies"))


@cache
def printed() -> str:
    """The schema as it is printed."""
    return sdl()


@cache
def graph() -> GraphQLSchema:
    """The schema as whoever reads the printed one knows it. Nobody changes it."""
    return build_schema(printed())
