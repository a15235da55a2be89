"""What the viewer may do, and what stands in the way: for `viewer.can` and wherever a screen has buttons."""

from __future__ import annotations

import strawberry

from nexus_graph.api.context import Info
from nexus_graph.api.declarations import MUTATION, declarations
from nexus_graph.api.deeds import Question
from nexus_graph.api.user_errors import Blocker
from nexus_graph.scope.errors import Invalid, NexusError, NotFound


@strawberry.type(description="Whether the viewer may do something here, and if not, why.")
class AllowedAction:
    """An action's preflight."""

    action: str = strawberry.field(description="The field of the graph, such as publishCard.")
    allowed: bool = strawberry.field(description="Whether it would pass the gates now.")
    blockers: list[Blocker] = strawberry.field(
        description="All that stands in the way, in the order of the gates; empty when allowed."
    )


async def allowed(
    info: Info, action: str, target: str | None, card_type: str | None = None, version: int = 0
) -> AllowedAction:
    """One action's preflight; `card_type` and `version` spare a look at a card that the caller has at hand.

    Raises Invalid for an unknown action, NotFound for a target that is not here.
    """
    known = declarations(info.schema)
    if action not in known:
        mutations = sorted(each.field for each in known.values() if each.root == MUTATION)
        hint = f"The mutations are {', '.join(mutations)}; queries and subscriptions may be asked about as well."
        raise Invalid(f"There is no field {action[:64]!r}.", hint=hint, path=("action",))
    question = Question(known[action], target, card_type, version)
    decision = await info.context.loaders.decisions.load(question)
    if isinstance(decision, NexusError):
        raise decision
    if decision is None:
        raise NotFound("action")
    return AllowedAction(
        action=action, allowed=decision.allowed, blockers=[Blocker.of(blocker) for blocker in decision.blockers]
    )
