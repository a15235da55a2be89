"""Stream tickets, for clients that can't send headers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from nexus_graph.api.context import Info
from nexus_graph.api.fields import CHEAP, change
from nexus_graph.api.idempotency import DeedInput
from nexus_graph.api.user_errors import UserError
from nexus_graph.scope.permission import Permission
from nexus_graph.tenants import tickets


@strawberry.input(description="A stream ticket to make; it is for whoever asks, in this tenant and env.")
class CreateStreamTicketInput(DeedInput):
    """Input of createStreamTicket."""


@strawberry.type(description="The ticket that was made.")
class StreamTicketPayload:
    """Payload of createStreamTicket."""

    ticket: str | None = strawberry.field(
        default=None, description="The ticket's text, shown once; null when refused, and in a dry run."
    )
    expires_at: datetime | None = strawberry.field(
        default=None, description="Until when it opens streams. An open stream lasts as long as your credentials."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class TicketMutation:
    """The mutation of stream tickets."""

    @change(
        Permission.VIEWER_READ,
        "Make a short-lived ticket that opens a websocket or an event stream where no headers can be sent: "
        "`?ticket=` in the address, or `ticket` in connection_init. It carries queries and subscriptions only.",
        locked=None,
        points=CHEAP,
    )
    async def create_stream_ticket(
        self,
        info: Info,
        input: Annotated[CreateStreamTicketInput, strawberry.argument(description="Whether it is a dry run.")],
    ) -> StreamTicketPayload:
        """Make a ticket. It takes no idempotency key: the ticket is never kept, so it could not be answered again."""
        context = info.context
        house = context.house
        text, expires_at = await tickets.create_ticket(house.stores, context.scope, house.admission.tickets)
        return StreamTicketPayload() if input.dry_run else StreamTicketPayload(ticket=text, expires_at=expires_at)
