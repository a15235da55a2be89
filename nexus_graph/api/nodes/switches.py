"""The kill switch: who halted what, engage, release."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from nexus_graph import atoms, exports, index
from nexus_graph.api.context import Info
from nexus_graph.api.fields import change, read, stoppable
from nexus_graph.api.idempotency import RepeatableInput, once
from nexus_graph.api.paging import After, Before, Connection, First, Last
from nexus_graph.api.scalars import described
from nexus_graph.api.user_errors import UserError
from nexus_graph.safeguards import switches
from nexus_graph.safeguards.consent import following as consent
from nexus_graph.safeguards.switches import Known, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.safeguards.switches.releasing import release
from nexus_graph.scope.permission import Permission

FOLLOWERS = (atoms.FOLLOWER, consent.FOLLOWER, exports.FOLLOWER, index.FOLLOWER)
"""Names under which the stages that follow the journal can be halted."""

described(
    Target,
    "What a kill switch halts.",
    {
        "EVERYTHING": "Every action, live stream, follower and address of an object in this tenant and env.",
        "ACTION": "A field of Query, Mutation or Subscription such as publishCard, or a follower such as index.",
        "PROVIDER": "One provider and all that needs it: an embedder (onnx, hashing, openai) or objects.",
    },
    name="KillSwitchTarget",
)


@strawberry.type(description="Something that was halted at once, with a reason, until somebody releases it.")
class KillSwitch:
    """A kill switch."""

    id: strawberry.ID = strawberry.field(description="What releaseKillSwitch and a Strategy Lock name it by.")
    target: Target = strawberry.field(description="What it halts.")
    name: str = strawberry.field(description="The action or provider; empty for everything.")
    reason: str = strawberry.field(description="Why, as everybody who is refused is told.")
    engaged_by: str = strawberry.field(description="Who engaged it.")
    engaged_at: datetime = strawberry.field(description="Since when.")
    released_by: str | None = strawberry.field(description="Who released it, if anybody did.")
    released_at: datetime | None = strawberry.field(description="When it was released.")

    @classmethod
    def of(cls, switch: switches.Switch) -> KillSwitch:
        """From the safeguard's value."""
        return cls(
            id=strawberry.ID(switch.switch_id),
            target=switch.target,
            name=switch.name,
            reason=switch.reason,
            engaged_by=switch.engaged_by,
            engaged_at=switch.engaged_at,
            released_by=switch.released_by,
            released_at=switch.released_at,
        )


@strawberry.input(description="What to halt at once, and why.")
class EngageKillSwitchInput(RepeatableInput):
    """Input of engageKillSwitch."""

    target: Target = strawberry.field(description="What to halt.")
    name: str = strawberry.field(default="", description="The action or provider; left out for everything.")
    reason: str = strawberry.field(description="Why, 1 to 500 characters. Everybody who is refused is told.")


@strawberry.input(description="Which kill switch to release.")
class ReleaseKillSwitchInput(RepeatableInput):
    """Input of releaseKillSwitch."""

    switch_id: strawberry.ID = strawberry.field(description="The switch.")


@strawberry.type(description="The kill switch as it is now.")
class KillSwitchPayload:
    """Payload of engageKillSwitch and releaseKillSwitch."""

    kill_switch: KillSwitch | None = strawberry.field(default=None, description="The switch; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class SwitchQuery:
    """Queries of the safeguard."""

    @read(Permission.SWITCHES_READ, "What is halted in this tenant and env, newest first.", unstoppable=True)
    async def kill_switches(
        self,
        info: Info,
        engaged_only: Annotated[bool, strawberry.argument(description="Leave out those that were released.")] = True,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[KillSwitch]:
        """A page of switches."""
        stores, scope = info.context.house.stores, info.context.scope
        cursors = info.context.house.cursors.list_of(scope, "killSwitches", engaged_only)
        window = cursors.window(first, after, last, before)
        page = await switches.list_switches(stores, scope, window, engaged_only=engaged_only)
        return cursors.connection(page, KillSwitch.of)


@strawberry.type
class SwitchMutation:
    """Mutations of the safeguard."""

    @change(
        Permission.SWITCHES_ENGAGE,
        "Halt everything, an action or a provider at once. What is halted already keeps its first switch.",
        locked=None,
        unstoppable=True,
    )
    async def engage_kill_switch(
        self, info: Info, input: Annotated[EngageKillSwitchInput, strawberry.argument(description="What and why.")]
    ) -> KillSwitchPayload:
        """Engage."""
        stores, scope = info.context.house.stores, info.context.scope
        repeat = once("engageKillSwitch", input)
        switch = await engage(stores, scope, _known(info), input.target, input.name, input.reason, once=repeat)
        return KillSwitchPayload(kill_switch=KillSwitch.of(switch))

    @change(
        Permission.SWITCHES_RELEASE,
        "Release a kill switch: what it halted goes on, unless another one halts it too.",
        locked="always",
        unstoppable=True,
    )
    async def release_kill_switch(
        self, info: Info, input: Annotated[ReleaseKillSwitchInput, strawberry.argument(description="Which.")]
    ) -> KillSwitchPayload:
        """Release."""
        stores, scope = info.context.house.stores, info.context.scope
        switch = await release(stores, scope, str(input.switch_id), once=once("releaseKillSwitch", input))
        return KillSwitchPayload(kill_switch=KillSwitch.of(switch))


def _known(info: Info) -> Known:
    actions = stoppable(info.schema) | frozenset(FOLLOWERS)
    return Known(actions, frozenset((*index.EMBEDDERS, switches.OBJECTS)))
