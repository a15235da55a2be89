"""Tenants and their members: create, set, revoke, list. A change counts from the next request, and on live streams."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_graph import safeguards
from nexus_graph.safeguards import Change, Deed, StrategicAction
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.clock import micros
from nexus_graph.scope.errors import Conflict, Forbidden, Invalid, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Role, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.paging import Page, Window, page
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores, Work
from nexus_graph.tenants import model, table
from nexus_graph.tenants.model import Member, MemberStatus, Tenant

DIRECTORY = Handling((), train_ok=False)


async def create_tenant(stores: Stores, scope: Scope, name: str) -> Tenant:
    """Make the scope's tenant. Only the engine itself may (the command line). Raises Conflict when it exists."""
    async with stores.work(scope, RunKind.ADMIN) as work:
        now = micros(work.now)
        if not await work.write(table.ADD_TENANT, name=name, now=now):
            raise Conflict(f"The tenant {scope.tenant_id} exists already.")
        detail = {"input": {"name": name}}
        work.record(Event("tenant.created", "tenant", scope.tenant_id, redact(detail), DIRECTORY))
        row = await work.row(table.FIND_TENANT)
    if row is None:
        raise NotFound("tenant")
    return table.tenant(row)


async def tenants(stores: Stores) -> Sequence[Tenant]:
    """Every tenant of the installation. For the command line; no request can reach it."""
    return [table.tenant(row) for row in await stores.across("select * from tenants order by tenant_id")]


async def set_member(
    stores: Stores, scope: Scope, subject: str, role: str, *, pending: bool = False, once: Once | None = None
) -> Member:
    """Give a subject a role, or change it. Only an owner makes, changes or replaces an owner; one owner must remain."""
    scope.require(Permission.MEMBERS_WRITE)
    status = MemberStatus.PENDING if pending else MemberStatus.ACTIVE
    return await _change(stores, scope, model.subject(subject), model.user_role(role), status, once)


async def revoke_member(stores: Stores, scope: Scope, subject: str, *, once: Once | None = None) -> Member:
    """Take all rights from a subject at once. Raises NotFound for no member, Conflict for the last owner."""
    scope.require(Permission.MEMBERS_WRITE)
    return await _change(stores, scope, model.subject(subject), None, MemberStatus.REVOKED, once)


async def members(stores: Stores, scope: Scope, window: Window) -> Page[Member]:
    """The tenant's members, by subject."""
    scope.require(Permission.MEMBERS_READ)
    async with stores.read(scope) as read:
        return await page(read, table.MEMBERS, ("subject",), window, table.member, descending=False)


async def _change(
    stores: Stores, scope: Scope, subject: str, role: Role | None, status: MemberStatus, once: Once | None
) -> Member:
    async with stores.work(scope, RunKind.ADMIN, once=once) as work:
        await work.hold_tenant()  # in another env somebody might revoke the other owner
        before = await work.row(table.FIND_MEMBER, subject=subject)
        if await work.earlier_answer() is not None and before is not None:
            return table.member(before)
        if role is None:
            if before is None:
                raise NotFound("member")
            role = Role(before["role"])
        held = None if before is None else Role(before["role"])
        await _keep_an_owner(work, subject, held, role, status)
        action = "revokeMember" if status is MemberStatus.REVOKED else "setMember"
        concerns_owners = Role.OWNER in (held, role)
        change = ownership(subject, role, status) if concerns_owners else None
        barred = not_an_owner(scope) if concerns_owners else None
        await safeguards.enforce(work, Deed(action, Permission.MEMBERS_WRITE, change=change, barred=barred))
        now = micros(work.now)
        rows = await work.write(table.SET_MEMBER, subject=subject, role=role.value, status=status.value, now=now)
        detail = {"input": {"role": role.value, "status": status.value}}
        work.record(Event("member.changed", "member", subject, redact(detail), DIRECTORY))
        await work.keep_answer({"subject": subject})
    return table.member(rows[0])


async def owner_change(
    stores: Stores, scope: Scope, subject: str, role: str | None, *, pending: bool = False
) -> Change:
    """What `set_member`, or `revoke_member` for no role, would change about owners, as a lock binds it.

    Raises NotFound for revoking nobody, Invalid for what concerns no owner and needs no lock.
    """
    scope.require(Permission.MEMBERS_READ)
    async with stores.read(scope) as read:
        row = await read.row(table.FIND_MEMBER, subject=model.subject(subject))
    held = None if row is None else Role(row["role"])
    if role is not None:
        wanted, status = model.user_role(role), MemberStatus.PENDING if pending else MemberStatus.ACTIVE
    elif held is not None:
        wanted, status = held, MemberStatus.REVOKED
    else:
        raise NotFound("member")
    if Role.OWNER not in (held, wanted):
        raise Invalid("No owner is made, changed or revoked by that.", hint="It needs no lock: do it.")
    return ownership(subject, wanted, status)


def ownership(subject: str, role: Role, status: MemberStatus) -> Change:
    """Making, changing or revoking an owner, as a lock binds it."""
    mutation = "revokeMember" if status is MemberStatus.REVOKED else "setMember"
    content: dict[str, Json] = {"mutation": mutation, "role": role.value, "status": status.value}
    return Change(StrategicAction.CHANGE_OWNER, subject, content)


def not_an_owner(scope: Scope) -> Forbidden | None:
    """What is against a change that concerns owners, unless an owner makes it."""
    if scope.role in (Role.OWNER, Role.SYSTEM):
        return None
    return Forbidden("Only an owner makes, changes or revokes an owner.", hint="Ask an owner of the tenant.")


async def _keep_an_owner(work: Work, subject: str, before: Role | None, role: Role, status: MemberStatus) -> None:
    if not_an_owner(work.scope):
        return  # nobody else comes that far
    stays = role is Role.OWNER and status is MemberStatus.ACTIVE
    if before is Role.OWNER and not stays and not await work.value(table.COUNT_OTHER_OWNERS, subject=subject):
        raise Conflict("The last owner can't be revoked or changed.", hint="Make somebody else an owner first.")
