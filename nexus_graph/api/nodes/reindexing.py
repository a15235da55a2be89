"""Rebuilding the index of a tenant and env, in a run that can be followed."""

from __future__ import annotations

from typing import Annotated

import strawberry

from nexus_graph import index
from nexus_graph.api.context import Info
from nexus_graph.api.fields import change
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.nodes.runs import ResearchRun
from nexus_graph.api.user_errors import UserError
from nexus_graph.scope.permission import Permission


@strawberry.input(description="Nothing but how to ask.")
class ReindexInput(RepeatableInput):
    """Input of reindex."""


@strawberry.type(description="The rebuilding that was asked for.")
class ReindexPayload:
    """Payload of reindex."""

    run: ResearchRun | None = strawberry.field(
        default=None, description="The run in which it happens; null when refused, and of a dry run."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class IndexMutation:
    """Mutations of the room."""

    @change(
        Permission.INDEX_REBUILD,
        "Index every card of this tenant and env anew. Searches go on meanwhile; follow the run to see how far it is.",
        locked="always",
    )
    async def reindex(
        self, info: Info, input: Annotated[ReindexInput, strawberry.argument(description="How to ask.")]
    ) -> ReindexPayload:
        """Rebuild."""
        house, scope = info.context.house, info.context.scope
        run_id = await index.request_rebuild(house.stores, house.index, scope, once=once("reindex", input))
        found = None if input.dry_run else await info.context.loaders.runs.load(run_id)
        return ReindexPayload(run=ResearchRun.of(found) if found else None)
