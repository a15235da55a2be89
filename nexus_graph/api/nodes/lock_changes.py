"""What a lock can be asked for: the arguments of the mutation that would do it, made a change by their own room."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from nexus_graph import cards
from nexus_graph.api.context import Info
from nexus_graph.api.nodes import quotas, tenants  # noqa: F401 - they describe Resource and Role, which must come first
from nexus_graph.api.scalars import BigInt, described
from nexus_graph.cards import Card, Difference, Proposed
from nexus_graph.safeguards import Change, Resource, StrategicAction, index_rebuild
from nexus_graph.safeguards.locks import ChangeClass
from nexus_graph.safeguards.quotas.limiting import limit_change
from nexus_graph.safeguards.switches.releasing import release_change
from nexus_graph.scope.errors import Invalid
from nexus_graph.scope.scope import Role
from nexus_graph.tenants import membership

described(
    StrategicAction,
    "What needs a Strategy Lock.",
    {
        "PUBLISH_CARD": "Publishing or revising a card of a strategic type.",
        "RETIRE_CARD": "Retiring a card of a strategic type.",
        "REINDEX": "Rebuilding the index.",
        "RELEASE_KILL_SWITCH": "Releasing a kill switch.",
        "CHANGE_OWNER": "Making, changing or revoking an owner.",
        "SET_QUOTA": "Setting a quota.",
    },
)


@strawberry.input(description="As publishCard takes it.")
class PublishCardChange:
    """A publication to bind."""

    text: str = strawberry.field(description="The exact text. A new card's header names its `key`.")
    train_ok: bool = strawberry.field(description="Whether training on it is allowed.")
    expected_version: int | None = strawberry.field(
        default=None, description="The version that it revises; null or 0 for a new card."
    )
    card_id: strawberry.ID | None = strawberry.field(
        default=None, description="The card to revise, where its text has no key."
    )


@strawberry.input(description="As retireCard takes it.")
class RetireCardChange:
    """A retirement to bind."""

    card_id: strawberry.ID = strawberry.field(description="The card.")
    expected_version: int = strawberry.field(description="Its version.")


@strawberry.input(description="As releaseKillSwitch takes it.")
class ReleaseKillSwitchChange:
    """A release to bind."""

    switch_id: strawberry.ID = strawberry.field(description="The switch.")


@strawberry.input(description="As setMember takes it.")
class SetMemberChange:
    """An owner to make or change."""

    subject: str = strawberry.field(description="The subject that tokens name.")
    role: Role = strawberry.field(description="OWNER, ADMIN or MEMBER.")
    pending: bool = strawberry.field(default=False, description="Invite only.")


@strawberry.input(description="As revokeMember takes it.")
class RevokeMemberChange:
    """An owner to revoke."""

    subject: str = strawberry.field(description="The subject that tokens name.")


@strawberry.input(description="As setQuota takes it.")
class SetQuotaChange:
    """A quota to set."""

    resource: Resource = strawberry.field(description="What is limited.")
    limit: BigInt | None = strawberry.field(default=None, description="How much; null for the installation's own.")


@strawberry.input(description="A bounded class of changes instead of one exact change.")
class AnyOfChanges:
    """A class to bind."""

    actions: list[StrategicAction] = strawberry.field(description="What is allowed.")
    card_types: list[str] = strawberry.field(
        default_factory=list, description="On cards of which types, at most 64; needed where an action concerns cards."
    )
    uses: int = strawberry.field(description="How many times, 1 to 1000.")


@strawberry.input(one_of=True, description="One exact change, or a bounded class of changes: exactly one member.")
class LockChangeInput:
    """What a lock shall bind."""

    publish_card: PublishCardChange | None = strawberry.field(default=UNSET, description="Publish or revise a card.")
    retire_card: RetireCardChange | None = strawberry.field(default=UNSET, description="Retire a card.")
    reindex: bool | None = strawberry.field(default=UNSET, description="Rebuild the index; true.")
    release_kill_switch: ReleaseKillSwitchChange | None = strawberry.field(
        default=UNSET, description="Release a kill switch."
    )
    set_member: SetMemberChange | None = strawberry.field(default=UNSET, description="Make or change an owner.")
    revoke_member: RevokeMemberChange | None = strawberry.field(default=UNSET, description="Revoke an owner.")
    set_quota: SetQuotaChange | None = strawberry.field(default=UNSET, description="Set a quota.")
    any_of: AnyOfChanges | None = strawberry.field(default=UNSET, description="Any of a bounded class of changes.")


Asked = Annotated[LockChangeInput, strawberry.argument(description="One exact change, or a bounded class.")]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a lock would bind, and what its approver must see beside it.

    `before` is the card that the difference shows, if any. `named`: it means the same change each time.
    """

    binds: Change | ChangeClass
    strategic: bool = True
    document: str = ""
    difference: Difference | None = None
    before: Card | None = None
    concerns: tuple[str, ...] = ()
    named: bool = True

    def lockable(self) -> Wanted:
        """The same, or Invalid when a lock for it would be of no use."""
        if not self.strategic:
            raise Invalid("This change is not strategic.", hint="It needs no lock: do it.", path=("input", "change"))
        if not self.named:
            hint = "Write a `key` into its header."
            path = ("input", "change", "publishCard", "text")
            raise Invalid("A new card without a key is another card each time.", hint=hint, path=path)
        return self


async def wanted(info: Info, change: LockChangeInput) -> Wanted:
    """What `change` means now. Raises what the mutation itself would raise for arguments that can't be right."""
    house, scope = info.context.house, info.context.scope
    stores, manifests = house.stores, house.manifests
    [given] = [value for each in fields(change) if (value := getattr(change, each.name)) is not UNSET]
    match given:
        case PublishCardChange():
            revised = None if given.card_id is None else str(given.card_id)
            return _of_card(
                await cards.propose(
                    stores,
                    manifests,
                    scope,
                    given.text,
                    train_ok=given.train_ok,
                    expected_version=given.expected_version,
                    card_id=revised,
                )
            )
        case RetireCardChange():
            card_id = str(given.card_id)
            return _of_card(await cards.propose_retirement(stores, manifests, scope, card_id, given.expected_version))
        case ReleaseKillSwitchChange():
            return Wanted(await release_change(stores, scope, str(given.switch_id)))
        case SetMemberChange():
            role = given.role.value
            return Wanted(await membership.owner_change(stores, scope, given.subject, role, pending=given.pending))
        case RevokeMemberChange():
            return Wanted(await membership.owner_change(stores, scope, given.subject, None))
        case SetQuotaChange():
            return Wanted(limit_change(given.resource, None if given.limit is None else int(given.limit)))
        case AnyOfChanges():
            allowed = ChangeClass(tuple(given.actions), tuple(given.card_types), given.uses)
            return Wanted(allowed.checked())
    if not given:
        raise Invalid("`reindex` is either true or left out.", path=("input", "change", "reindex"))
    return Wanted(index_rebuild(house.index.definition_id))


def _of_card(proposed: Proposed) -> Wanted:
    return Wanted(
        binds=proposed.change,
        strategic=proposed.strategic,
        document=proposed.text,
        difference=proposed.difference,
        before=proposed.before,
        concerns=proposed.surfaces,
        named=proposed.named,
    )


def change_json(binds: Change | ChangeClass) -> dict[str, Any] | None:
    """An exact change as a client sees it; None for a class."""
    if isinstance(binds, ChangeClass):
        return None
    exact = {"action": binds.action.value, "target": binds.target, "cardType": binds.card_type}
    return {**exact, "content": dict(binds.content)}
