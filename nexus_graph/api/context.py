"""What a resolver knows: the house, the admitted scope, and loaders that gather what one operation asks for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import strawberry

from nexus_graph.api.loaders import Loaders
from nexus_graph.api.observing import Observation
from nexus_graph.safeguards import switches
from nexus_graph.safeguards.rates import Bill
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Invalid, NexusError
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.feeds import Take
from nexus_graph.stores.journal import Event, RunKind, RunStatus, Severity
from nexus_graph.tenants.admission import Presented

if TYPE_CHECKING:
    from nexus_graph.api.house import House
    from nexus_graph.api.operations.broadcasting import Outlet
    from nexus_graph.api.operations.planning import Plan
    from nexus_graph.stores.pacing import Opening

Frame = TypeVar("Frame")

MOST_ITEMS = 20_000
"""Fields with a resolver and items of lists that one operation is answered with."""


class Context:
    """One operation of one admitted principal, and the `plan` of its document, where it has one.

    `refused` names the fields and codes that are journalled already, `told` says whether any refusal is. `streaming` is
    the subscription that it follows, if it does, `cursor` how far that is, and `resume_after` the cursor after which
    the transport wants it to go on. `first` says that no answer has left yet, `outlet` where frames leave by the short
    way, if they may. `opening` is the turn in which it opens, if it has one. `bill` is what it cost, once known;
    `observation` is what the operator sees.
    """

    __slots__ = (
        "_left",
        "_loaders",
        "bill",
        "cursor",
        "first",
        "house",
        "observation",
        "opening",
        "outlet",
        "plan",
        "refused",
        "resume_after",
        "scope",
        "streaming",
        "told",
    )

    def __init__(self, house: House, scope: Scope, observation: Observation | None = None) -> None:
        self.house = house
        self.scope = scope
        self.observation = observation or Observation(house.watch.metrics)
        self.observation.scope = scope
        self._loaders: Loaders | None = None
        self.refused: frozenset[tuple[str, str]] = frozenset()
        self.told = False
        self.bill: Bill | None = None
        self.streaming: str | None = None
        self.cursor: str | None = None
        self.resume_after: str | None = None
        self.plan: Plan | None = None
        self.first = True
        self.outlet: Outlet | None = None
        self.opening: Opening | None = None
        self._left = MOST_ITEMS

    @property
    def loaders(self) -> Loaders:
        """What gathers the ids that the operation asks for."""
        if self._loaders is None:
            self._loaders = Loaders(self.house, self.scope)
        return self._loaders

    def handing(self, stream: Hashable, show: Callable[[Frame], object]) -> Take[Frame] | None:
        """Hands frames to the outlet, if there is one. `show` makes objects of the graph of them.

        `stream` names all that `show` knows beside the frame.
        """
        return None if self.outlet is None else partial(self.outlet.take, stream, show)

    def opened(self) -> None:
        """The stream is open, or comes to nothing: the next ones may open."""
        if self.opening is not None:
            self.opening.end()

    def take(self, items: int) -> None:
        """Count what the operation asks for, so that pages within pages end. Raises Invalid beyond the bound."""
        self._left -= items
        if self._left < 0:
            raise Invalid(f"The operation asks for more than {MOST_ITEMS:,} items.", hint="Ask for smaller pages.")

    def forget(self) -> None:
        """Let go of what was loaded: one mutation changes what the next one is told."""
        self._loaders = Loaders(self.house, self.scope)  # of a scope that does not rehearse: what they read is told

    @contextmanager
    def rehearsing(self) -> Iterator[None]:
        """What is done inside is done and taken back. For one mutation at a time, as the specification wants it."""
        scope, self.scope = self.scope, replace(self.scope, rehearsal=True)
        try:
            yield
        finally:
            self.scope = scope

    async def require_running(self, field: str) -> None:
        """Raises Halted when a kill switch halts a field of the graph's root."""
        await switches.require(self.house.stores, self.scope, field)

    async def renew(self) -> Scope:
        """The scope with the rights of this moment; raises when they are gone, and when its stream is halted."""
        scope = await self.house.admission.renew(self.scope)
        if self.streaming is not None:
            await self.require_running(self.streaming)
        return scope

    async def journal_refusal(self, kind: RunKind, subject: str, asked: Json, code: str) -> None:
        """Journal a refusal in the run that the client named, which it does not end; else in a run of its own.

        `subject` is the field, or `request` for one that was refused before any field was asked.
        """
        stores, scope = self.house.stores, self.scope
        self.told = True
        event = Event(
            "request.refused",
            "field",
            subject,
            redact({"input": asked, "output": {"code": code}}),
            Handling((), train_ok=False),
            Severity.WARNING,
            RunStatus.REFUSED,
        )
        if scope.run_id is not None:
            with suppress(NexusError):  # no open run of the principal's own
                await stores.record(scope, kind, replace(event, ends=None))
                return
        await stores.record(replace(scope, run_id=None), kind, event)


Info: TypeAlias = strawberry.Info[Context, None]


def from_headers(headers: Mapping[str, str], ticket: str | None = None) -> Presented:
    """What an HTTP request presents: its headers, and the stream ticket in its address."""
    return Presented(
        authorization=headers.get("authorization"),
        tenant=headers.get("x-nexus-tenant"),
        env=headers.get("x-nexus-env"),
        traceparent=headers.get("traceparent"),
        request_id=headers.get("x-request-id"),
        run=headers.get("x-nexus-run"),
        ticket=ticket,
    )


def from_connection_init(payload: Mapping[str, object], ticket: str | None = None) -> Presented:
    """What a websocket presents: in `connection_init` the same names, in any case, or a ticket, there or before."""
    named = {name.lower(): value for name, value in payload.items() if isinstance(value, str)}
    return from_headers(named, named.get("ticket", ticket))
