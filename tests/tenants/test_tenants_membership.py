"""Members: who may change whom, and that somebody always owns the tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from engines import beside
from lock_steps import approved

from nexus_graph.scope.errors import Conflict, Forbidden, Invalid, LockRequired, NexusError, NotFound
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.paging import Window
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores
from nexus_graph.tenants.membership import (
    create_tenant,
    members,
    owner_change,
    ownership,
    revoke_member,
    set_member,
    tenants,
)
from nexus_graph.tenants.model import MemberStatus

ScopeOf = Callable[..., Scope]
EVENTS = Statement(
    "select action, subject_id from journal_events where tenant_id = :tenant_id and env = :env order by seq"
)


@pytest.fixture
async def acme(stores: Stores) -> Scope:
    """The tenant, with ada as owner and adam as admin; the engine's own scope."""
    system = Scope.system("t_acme", Env.DEV, "test")
    await create_tenant(stores, system, "Acme")
    await set_member(stores, system, "ada", "owner")
    await set_member(stores, system, "adam", "admin")
    return system


async def test_a_tenant_is_made_once(stores: Stores, acme: Scope) -> None:
    """A second time is a Conflict that changes nothing."""
    with pytest.raises(Conflict):
        await create_tenant(stores, acme, "Again")
    assert [(tenant.tenant_id, tenant.name) for tenant in await tenants(stores)] == [("t_acme", "Acme")]


async def test_members_belong_to_all_envs_of_one_tenant(stores: Stores, acme: Scope, scope_of: ScopeOf) -> None:
    """Listed by subject; another tenant has its own."""
    await set_member(stores, scope_of("t_globex"), "gus", "member")
    found = await members(stores, scope_of(env=Env.PROD), Window(10))
    assert [(member.subject, member.role) for member in found.items] == [("ada", Role.OWNER), ("adam", Role.ADMIN)]


async def test_only_an_owner_makes_changes_or_revokes_owners(stores: Stores, acme: Scope, scope_of: ScopeOf) -> None:
    """An admin can't raise anybody, himself included, to owner, nor touch one; an owner can."""
    admin = scope_of(role=Role.ADMIN, who="adam")
    for deed in (
        set_member(stores, admin, "adam", "owner"),
        set_member(stores, admin, "bob", "owner"),
        set_member(stores, admin, "ada", "member"),
        set_member(stores, admin, "bob", "owner", pending=True),
        revoke_member(stores, admin, "ada"),
    ):
        with pytest.raises(Forbidden):
            await deed
    assert (await set_member(stores, admin, "bob", "admin")).role is Role.ADMIN
    owner = scope_of(who="ada")
    with pytest.raises(LockRequired, match="CHANGE_OWNER"):
        await set_member(stores, owner, "bob", "owner")
    await approved(stores, owner, admin, await owner_change(stores, owner, "bob", "owner"))
    assert (await set_member(stores, owner, "bob", "owner")).role is Role.OWNER
    with pytest.raises(LockRequired):
        await revoke_member(stores, owner, "bob")
    await approved(stores, admin, owner, await owner_change(stores, admin, "bob", None))
    assert (await revoke_member(stores, owner, "bob")).status is MemberStatus.REVOKED


async def test_a_lock_is_for_owners_alone(stores: Stores, acme: Scope, scope_of: ScopeOf) -> None:
    """A change that concerns no owner needs none and can't have one; nobody can't be revoked."""
    owner = scope_of(who="ada")
    for deed in (owner_change(stores, owner, "bob", "admin"), owner_change(stores, owner, "adam", None)):
        with pytest.raises(Invalid, match="No owner"):
            await deed
    with pytest.raises(NotFound):
        await owner_change(stores, owner, "nobody", None)


async def test_the_last_owner_stays(stores: Stores, acme: Scope, scope_of: ScopeOf) -> None:
    """Revoked, lowered or pending: refused until there is another active owner."""
    owner = scope_of(who="ada")
    await set_member(stores, acme, "zoe", "owner", pending=True)  # does not count
    for deed in (
        set_member(stores, owner, "ada", "member"),
        set_member(stores, owner, "ada", "owner", pending=True),
        revoke_member(stores, owner, "ada"),
    ):
        with pytest.raises(Conflict):
            await deed
    await set_member(stores, acme, "zoe", "owner")
    assert (await revoke_member(stores, acme, "ada")).status is MemberStatus.REVOKED


async def test_two_owners_who_revoke_each_other_at_once_leave_one(
    stores: Stores, acme: Scope, scope_of: ScopeOf
) -> None:
    """The guard stands inside the transaction."""
    await set_member(stores, acme, "zoe", "owner")
    ada, adam = scope_of(who="ada"), scope_of(role=Role.ADMIN, who="adam")
    for subject in ("ada", "zoe"):
        await approved(stores, ada, adam, await owner_change(stores, ada, subject, None))
    outcomes = await asyncio.gather(
        revoke_member(stores, scope_of(who="ada"), "zoe"),
        revoke_member(stores, scope_of(who="zoe"), "ada"),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1


async def test_owners_who_are_revoked_in_two_envs_at_once_leave_one(
    stores: Stores, acme: Scope, scope_of: ScopeOf
) -> None:
    """Each env has a writer of its own; who decides about members holds what the envs share."""
    async with beside(stores) as elsewhere:
        for _ in range(8):
            for subject in ("ada", "zoe"):
                await set_member(stores, acme, subject, "owner")
            engine = {env: Scope.system("t_acme", env, "test") for env in (Env.DEV, Env.PROD)}
            outcomes = await asyncio.gather(
                revoke_member(stores, engine[Env.DEV], "zoe"),
                revoke_member(elsewhere, engine[Env.PROD], "ada"),
                return_exceptions=True,
            )
            assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1


async def test_members_and_agents_change_nobody(stores: Stores, acme: Scope, scope_of: ScopeOf) -> None:
    """Not even themselves."""
    for role in (Role.MEMBER, Role.AGENT):
        with pytest.raises(Forbidden):
            await set_member(stores, scope_of(role=role), "bob", "member")
        with pytest.raises(Forbidden):
            await revoke_member(stores, scope_of(role=role), "adam")


BAD: list[tuple[str, str]] = [
    ("", "member"),
    ("a b", "member"),
    ("a\x00", "member"),
    ("\ud800", "member"),
    ("a\u200b", "member"),
    ("a\xa0", "member"),
    ("x" * 321, "member"),
    ("bob", "agent"),
    ("bob", "system"),
    ("bob", "Owner"),
    ("bob", ""),
]


@pytest.mark.parametrize(("subject", "role"), BAD)
async def test_subject_and_role_are_well_formed(stores: Stores, acme: Scope, subject: str, role: str) -> None:
    """Everything else is Invalid, and nothing is written."""
    with pytest.raises(Invalid):
        await set_member(stores, acme, subject, role)
    assert len((await members(stores, acme, Window(10))).items) == 2


async def test_revoking_nobody_is_not_found(stores: Stores, acme: Scope, scope_of: ScopeOf) -> None:
    """Unknown here, or known in another tenant only: the same words."""
    heard = set()
    for tenant, subject in (("t_acme", "nobody"), ("t_globex", "ada")):
        with pytest.raises(NexusError) as refused:
            await revoke_member(stores, scope_of(tenant), subject)
        assert isinstance(refused.value, NotFound)
        heard.add(str(refused.value))
    assert len(heard) == 1


async def test_a_change_is_journalled_and_repeated_only_in_the_answer(
    stores: Stores, acme: Scope, scope_of: ScopeOf
) -> None:
    """One event per change; the same idempotency key does it once."""
    once = Once("k", {"verb": "setMember", "subject": "bob"})
    first = await set_member(stores, acme, "bob", "member", once=once)
    assert await set_member(stores, acme, "bob", "member", once=once) == first
    async with stores.read(acme) as read:
        rows = [tuple(row) for row in await read.rows(EVENTS)]
    changes = [("member.changed", subject) for subject in ("ada", "adam", "bob")]
    assert [row for row in rows if row[0] != "lock.waived"] == [("tenant.created", "t_acme"), *changes]
    [(_, waived)] = [row for row in rows if row[0] == "lock.waived"]  # ada became an owner by the operator's word
    assert waived == ownership("ada", Role.OWNER, MemberStatus.ACTIVE).digest
