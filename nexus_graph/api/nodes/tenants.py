"""The viewer, the members of a tenant, and its API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from nexus_graph.api.context import Info
from nexus_graph.api.fields import change, read
from nexus_graph.api.idempotency import DeedInput, RepeatableInput, once
from nexus_graph.api.nodes.allowed_actions import AllowedAction, allowed
from nexus_graph.api.paging import After, Before, Connection, First, Last
from nexus_graph.api.scalars import described
from nexus_graph.api.user_errors import UserError
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Env, Role
from nexus_graph.tenants import keys, membership, model
from nexus_graph.tenants.model import MemberStatus

described(
    Role,
    "What a principal is in a tenant.",
    {
        "OWNER": "May do everything, and alone decides about owners.",
        "ADMIN": "Keeps assets, cards, members and keys.",
        "MEMBER": "Reads, searches and asks for packs.",
        "AGENT": "A program with an API key: reads cards, asks for packs, writes to its own runs.",
        "SYSTEM": "The engine itself; nobody outside ever is.",
    },
)
described(
    Env,
    "The separate worlds of a tenant.",
    {"DEV": "Development.", "STAGING": "Rehearsal.", "PROD": "Production."},
)
described(
    MemberStatus,
    "Whether a membership counts.",
    {
        "ACTIVE": "It gives the rights of its role.",
        "PENDING": "Invited; no rights yet.",
        "REVOKED": "Ended; no rights any more.",
    },
)


@strawberry.type(description="Whoever asks, as this server admitted them.")
class Viewer:
    """The admitted scope."""

    subject: str = strawberry.field(description="The token's subject, or the API key's id.")
    role: Role = strawberry.field(description="The role in this tenant.")
    tenant_id: str = strawberry.field(description="The tenant of this request.")
    env: Env = strawberry.field(description="The env of this request.")
    permissions: list[str] = strawberry.field(description="Every right held, sorted, such as cards:read.")
    expires_at: datetime | None = strawberry.field(description="When these credentials end.")

    @read(
        Permission.VIEWER_READ,
        "Whether the viewer may do something now, and if not, all that stands in the way and what would clear it.",
        unstoppable=True,
    )
    async def can(
        self,
        info: Info,
        action: Annotated[
            str, strawberry.argument(description="A mutation, query or subscription by its name, such as publishCard.")
        ],
        target: Annotated[
            strawberry.ID | None,
            strawberry.argument(
                description="What it would be done to: the id of a card, asset, run or key, a subject, a resource, ..."
            ),
        ] = None,
    ) -> AllowedAction:
        """Preflight."""
        return await allowed(info, action, None if target is None else str(target))


@strawberry.type(description="Somebody's place in the tenant, in all its envs.")
class Member:
    """A membership."""

    subject: str = strawberry.field(description="The subject that tokens name.")
    role: Role = strawberry.field(description="What the member may be.")
    status: MemberStatus = strawberry.field(description="Whether it counts.")
    changed_at: datetime = strawberry.field(description="When role or status changed last.")

    @classmethod
    def of(cls, member: model.Member) -> Member:
        """From the room's value."""
        return cls(subject=member.subject, role=member.role, status=member.status, changed_at=member.changed_at)


@strawberry.type(description="An agent's key for this tenant and env. Its secret is shown once, when it is made.")
class ApiKey:
    """An API key without its secret."""

    key_id: str = strawberry.field(description="The key's public id; the agent's name in the journal.")
    name: str = strawberry.field(description="What it is for.")
    created_by: str = strawberry.field(description="Who made it.")
    created_at: datetime = strawberry.field(description="When it was made.")
    expires_at: datetime = strawberry.field(description="When it ends by itself.")
    revoked_at: datetime | None = strawberry.field(description="When it was ended, if it was.")

    @classmethod
    def of(cls, key: model.ApiKey) -> ApiKey:
        """From the room's value."""
        return cls(
            key_id=key.key_id,
            name=key.name,
            created_by=key.created_by,
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
        )


@strawberry.input(description="A member's new role.")
class SetMemberInput(RepeatableInput):
    """Input of setMember."""

    subject: str = strawberry.field(description="The subject that tokens name.")
    role: Role = strawberry.field(description="OWNER, ADMIN or MEMBER.")
    pending: bool = strawberry.field(default=False, description="Invite only: no rights until set again without it.")


@strawberry.input(description="Whom to take all rights from.")
class RevokeMemberInput(RepeatableInput):
    """Input of revokeMember."""

    subject: str = strawberry.field(description="The subject that tokens name.")


@strawberry.type(description="The member as it is now.")
class MemberPayload:
    """Payload of setMember and revokeMember."""

    member: Member | None = strawberry.field(default=None, description="The member; null when refused.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.input(description="A key to make.")
class CreateKeyInput(DeedInput):
    """Input of createKey."""

    name: str = strawberry.field(description="What it is for, 1 to 100 characters.")
    days: int = strawberry.field(description="How many days it lives, 1 to 366.")


@strawberry.input(description="A key to end.")
class RevokeKeyInput(DeedInput):
    """Input of revokeKey."""

    key_id: str = strawberry.field(description="The key's public id.")


@strawberry.type(description="The key as it is now.")
class KeyPayload:
    """Payload of createKey and revokeKey."""

    key: ApiKey | None = strawberry.field(default=None, description="The key; null when refused.")
    secret: str | None = strawberry.field(default=None, description="The key's text, shown once; null in a dry run.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="What to mend; empty on success.")


@strawberry.type
class TenantQuery:
    """The directory's queries."""

    @read(Permission.VIEWER_READ, "Who asks, for which tenant and env, and with which rights.", unstoppable=True)
    async def viewer(self, info: Info) -> Viewer:
        """The admitted scope."""
        scope = info.context.scope
        return Viewer(
            subject=scope.principal.id,
            role=scope.role,
            tenant_id=scope.tenant_id,
            env=scope.env,
            permissions=sorted(scope.rights),
            expires_at=scope.expires_at,
        )

    @read(Permission.MEMBERS_READ, "The tenant's members, by subject.")
    async def members(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Member]:
        """A page of members."""
        context = info.context
        cursors = context.house.cursors.list_of(context.scope, "members")
        window = cursors.window(first, after, last, before)
        return cursors.connection(await membership.members(context.house.stores, context.scope, window), Member.of)

    @read(Permission.KEYS_READ, "The API keys of this tenant and env, newest first.")
    async def keys(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[ApiKey]:
        """A page of keys."""
        context = info.context
        cursors = context.house.cursors.list_of(context.scope, "keys")
        window = cursors.window(first, after, last, before)
        return cursors.connection(await keys.keys(context.house.stores, context.scope, window), ApiKey.of)


@strawberry.type
class TenantMutation:
    """The directory's mutations."""

    @change(
        Permission.MEMBERS_WRITE,
        "Give a subject a role, or change it; counts from the next request on.",
        locked="somebody becomes or ceases to be an owner",
    )
    async def set_member(
        self, info: Info, input: Annotated[SetMemberInput, strawberry.argument(description="Who and what.")]
    ) -> MemberPayload:
        """Set a member."""
        context = info.context
        member = await membership.set_member(
            context.house.stores,
            context.scope,
            input.subject,
            input.role.value,
            pending=input.pending,
            once=once("setMember", input),
        )
        return MemberPayload(member=Member.of(member))

    @change(
        Permission.MEMBERS_WRITE,
        "Take all rights from a subject; live streams end at once.",
        locked="the member is an owner",
        unstoppable=True,
    )
    async def revoke_member(
        self, info: Info, input: Annotated[RevokeMemberInput, strawberry.argument(description="Who.")]
    ) -> MemberPayload:
        """Revoke a member."""
        context = info.context
        member = await membership.revoke_member(
            context.house.stores, context.scope, input.subject, once=once("revokeMember", input)
        )
        return MemberPayload(member=Member.of(member))

    @change(Permission.KEYS_WRITE, "Make an API key for an agent in this tenant and env.", locked=None)
    async def create_key(
        self, info: Info, input: Annotated[CreateKeyInput, strawberry.argument(description="Its name and life.")]
    ) -> KeyPayload:
        """Make a key. It takes no idempotency key: the secret is never kept, so it could not be answered again."""
        key, secret = await keys.create_key(info.context.house.stores, info.context.scope, input.name, input.days)
        return KeyPayload(key=ApiKey.of(key), secret=None if input.dry_run else secret)

    @change(Permission.KEYS_WRITE, "End an API key at once.", locked=None, unstoppable=True)
    async def revoke_key(
        self, info: Info, input: Annotated[RevokeKeyInput, strawberry.argument(description="Which.")]
    ) -> KeyPayload:
        """Revoke a key."""
        return KeyPayload(
            key=ApiKey.of(await keys.revoke_key(info.context.house.stores, info.context.scope, input.key_id))
        )
