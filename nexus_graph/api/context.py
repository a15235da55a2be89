"""What a resolver knows: the house, the admitted scope, and loaders that gather what one operation asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import strawberry

from nexus_graph.api.loaders import Loaders
from nexus_graph.scope.errors import NexusError
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.tenants.admission import Presented

if TYPE_CHECKING:
    from nexus_graph.api.house import House


class Context:
    """One operation of one admitted principal."""

    def __init__(self, house: House, scope: Scope) -> None:
        self.house = house
        self.scope = scope
        self.loaders = Loaders(house, scope)

    async def renew(self) -> Scope:
        """The scope with the rights of this moment; raises when they are gone."""
        return await self.house.admission.renew(self.scope)

    async def journal(self, kind: RunKind, event: Event) -> None:
        """Journal a refusal, in a run of its own when the run that the client named can't take it."""
        try:
            await self.house.stores.record(self.scope, kind, event)
        except NexusError:
            if self.scope.run_id is None:
                raise
            await self.house.stores.record(replace(self.scope, run_id=None), kind, event)


Info: TypeAlias = strawberry.Info[Context, None]


def from_headers(headers: Mapping[str, str]) -> Presented:
    """What an HTTP request presents."""
    return Presented(
        authorization=headers.get("authorization"),
        tenant=headers.get("x-nexus-tenant"),
        env=headers.get("x-nexus-env"),
        traceparent=headers.get("traceparent"),
        request_id=headers.get("x-request-id"),
        run=headers.get("x-nexus-run"),
    )


def from_connection_init(payload: Mapping[str, object]) -> Presented:
    """What a websocket's `connection_init` presents: the same names, in any case."""
    return from_headers({name.lower(): value for name, value in payload.items() if isinstance(value, str)})
