"""The kill switch: halts at once, in its own scope alone, says since when and why, and is let go by two people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nexus_graph import safeguards
from nexus_graph.safeguards import Deed, switches
from nexus_graph.safeguards.locks import Proposal, approve, propose
from nexus_graph.safeguards.model import switch_release
from nexus_graph.safeguards.switches import UNSTOPPABLE, Known, Switch, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.safeguards.switches.releasing import release
from nexus_graph.scope.decision import Gate
from nexus_graph.scope.errors import Conflict, Forbidden, Halted, Invalid, LockRequired, NotFound
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.journal import RunKind
from nexus_graph.stores.paging import Window
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
KNOWN = Known(frozenset({"publishCard", "runLog", "index"}), frozenset({"openai", "objects"}))
PUBLISH = Deed("publishCard", Permission.CARDS_PUBLISH)
RETIRE = Deed("retireCard", Permission.CARDS_RETIRE)
SEAL = Deed("sealAsset", Permission.ASSETS_WRITE, provider="objects")
DEEDS = (PUBLISH, RETIRE, SEAL)
EVENTS = Statement(
    "select action, subject_id, severity, payload, pii_flags from journal_events "
    "where tenant_id = :tenant_id and env = :env and action like 'switch.%' order by seq"
)


async def halt(stores: Stores, scope: Scope, target: str = "EVERYTHING", name: str = "", **more: Any) -> Switch:
    """Engage a switch."""
    return await engage(stores, scope, KNOWN, Target(target), name, more.pop("reason", "Bad prices."), **more)


async def halted(stores: Stores, scope: Scope) -> set[str]:
    """Which of the deeds are refused now, by the preflight and by what enforces."""
    found = set()
    for deed in DEEDS:
        async with stores.read(scope) as read:
            before = await safeguards.decide(read, deed)
        if not before.allowed:
            found.add(deed.action)
        async with stores.work(scope, RunKind.ADMIN) as work:
            if before.allowed:
                await safeguards.enforce(work, deed)
                continue
            with pytest.raises(Halted) as refused:
                await safeguards.enforce(work, deed)
        assert [blocker.gate for blocker in refused.value.blockers] == [Gate.KILL_SWITCH]
    return found


async def unlocked(stores: Stores, owner: Scope, admin: Scope, switch: Switch) -> None:
    """An approved lock for the release of a switch: one proposes it, another approves it."""
    change = switch_release(switch.switch_id)
    lock = await propose(stores, admin, Proposal(change, "The prices are right again."))
    await approve(stores, owner, lock.lock_id, lock.revision, change.digest)


@pytest.mark.parametrize(
    ("target", "name", "expected"),
    [
        ("EVERYTHING", "", {"publishCard", "retireCard", "sealAsset"}),
        ("ACTION", "publishCard", {"publishCard"}),
        ("PROVIDER", "objects", {"sealAsset"}),
        ("PROVIDER", "openai", set()),
    ],
)
async def test_a_switch_halts_what_it_names_in_its_own_scope(
    stores: Stores, scope_of: MakeScope, target: str, name: str, expected: set[str]
) -> None:
    """Everything, an action or a provider; not in the tenant's other env, not in another tenant."""
    assert await halted(stores, scope_of()) == set()
    await halt(stores, scope_of(role=Role.ADMIN), target, name)
    assert await halted(stores, scope_of()) == expected
    for other in (scope_of("t_globex"), scope_of(env=Env.PROD)):
        assert await halted(stores, other) == set()
        assert await switches.present(stores, other) == ()


async def test_who_asks_at_the_same_moment_is_told_of_its_own_scope(stores: Stores, scope_of: MakeScope) -> None:
    """Reads are shared by those who ask the same, never across tenants or envs."""
    switch = await halt(stores, scope_of())
    scopes = (scope_of(), scope_of("t_globex"), scope_of(env=Env.PROD), scope_of(role=Role.MEMBER))
    found = await asyncio.gather(*[switches.present(stores, scope) for scope in scopes])
    assert found == [(switch,), (), (), (switch,)]


async def test_a_refusal_says_since_when_why_and_who_may_release(stores: Stores, scope_of: MakeScope) -> None:
    """The oldest switch speaks; the hint names it."""
    first = await halt(stores, scope_of(), "ACTION", "publishCard", reason="  Bad prices.  ")
    await halt(stores, scope_of(), reason="Worse.")
    with pytest.raises(Halted, match="The action publishCard is halted") as refused:
        await switches.require(stores, scope_of(), "publishCard")
    assert (refused.value.since, refused.value.reason) == (first.engaged_at, "Bad prices.")
    assert first.switch_id in (refused.value.hint or "")
    with pytest.raises(Halted, match="Everything in this tenant and env is halted"):
        await switches.require(stores, scope_of(), "search")
    with pytest.raises(Halted, match="Everything"):
        await switches.require(stores, scope_of(), None, "openai")


async def test_what_releases_or_takes_rights_away_is_never_halted(stores: Stores, scope_of: MakeScope) -> None:
    """While everything is halted, each unstoppable action still passes this gate, and none can be named."""
    await halt(stores, scope_of())
    async with stores.read(scope_of()) as read:
        for action in UNSTOPPABLE:
            assert await switches.refusal(read, Deed(action, Permission.VIEWER_READ)) is None
    with pytest.raises(Invalid, match="No switch halts revokeKey"):
        await halt(stores, scope_of(), "ACTION", "revokeKey")


async def test_engaging_twice_answers_the_present_switch(stores: Stores, scope_of: MakeScope) -> None:
    """The first reason stays, nothing is journalled twice; another name is another switch; a key repeats its own."""
    once = Once("key", ["engage"])
    first = await halt(stores, scope_of(), "ACTION", "index", once=once)
    assert await halt(stores, scope_of(role=Role.ADMIN), "ACTION", "index", reason="Another.") == first
    assert await halt(stores, scope_of(), "ACTION", "index", once=once) == first
    second = await halt(stores, scope_of(), "ACTION", "runLog")
    assert [each.switch_id for each in await switches.present(stores, scope_of())] == [
        first.switch_id,
        second.switch_id,
    ]
    async with stores.read(scope_of()) as read:
        assert [row["action"] for row in await read.rows(EVENTS)] == ["switch.engaged"] * 2


@pytest.mark.parametrize(
    ("target", "name", "reason", "path", "hint"),
    [
        ("ACTION", "publish", "x", "name", "Known: index, publishCard, runLog."),
        ("PROVIDER", "index", "x", "name", "Known: objects, openai."),
        ("ACTION", "", "x", "name", "Known"),
        ("EVERYTHING", "publishCard", "x", "name", "Leave the name out"),
        ("EVERYTHING", "", "  ", "reason", None),
        ("EVERYTHING", "", "x" * 501, "reason", None),
    ],
)
async def test_a_name_that_nothing_has_and_a_missing_reason_are_refused(
    stores: Stores, scope_of: MakeScope, target: str, name: str, reason: str, path: str, hint: str | None
) -> None:
    """The refusal lists what there is; nothing is halted."""
    with pytest.raises(Invalid) as refused:
        await halt(stores, scope_of(), target, name, reason=reason)
    assert refused.value.path == ("input", path)
    assert (hint or "") in (refused.value.hint or "")
    assert await switches.present(stores, scope_of()) == ()


async def test_only_owners_and_admins_engage_and_release(stores: Stores, scope_of: MakeScope) -> None:
    """A member may see what is halted; an agent not even that."""
    switch = await halt(stores, scope_of())
    for role in (Role.MEMBER, Role.AGENT):
        with pytest.raises(Forbidden):
            await halt(stores, scope_of(role=role), "ACTION", "index")
        with pytest.raises(Forbidden):
            await release(stores, scope_of(role=role), switch.switch_id)
    listed = await switches.list_switches(stores, scope_of(role=Role.MEMBER), Window(10))
    assert listed.items == (switch,)
    with pytest.raises(Forbidden):
        await switches.list_switches(stores, scope_of(role=Role.AGENT), Window(10))


async def test_a_release_needs_a_lock_for_this_very_switch(stores: Stores, scope_of: MakeScope) -> None:
    """Without one it is refused with the digest to bind; with one it is released once, and the other switch stays."""
    owner, admin = scope_of(), scope_of(role=Role.ADMIN)
    first = await halt(stores, owner)
    second = await halt(stores, owner, "ACTION", "publishCard")
    await unlocked(stores, owner, admin, second)
    with pytest.raises(LockRequired) as refused:
        await release(stores, admin, first.switch_id)
    assert refused.value.change_digest == switch_release(first.switch_id).digest
    assert await halted(stores, owner) == {"publishCard", "retireCard", "sealAsset"}
    await unlocked(stores, owner, admin, first)
    once = Once("key", ["release"])
    released = await release(stores, admin, first.switch_id, once=once)
    assert (released.released_by, released.released_at is None) == (admin.principal.id, False)
    assert await halted(stores, owner) == {"publishCard"}
    assert await release(stores, admin, first.switch_id, once=once) == released
    with pytest.raises(Conflict, match="released before"):
        await release(stores, admin, first.switch_id)
    again = await halt(stores, owner)
    assert again.switch_id != first.switch_id
    assert (await switches.list_switches(stores, owner, Window(10))).items == (again, second)
    every = await switches.list_switches(stores, owner, Window(10), engaged_only=False)
    assert every.items == (again, second, released)


async def test_a_foreign_switch_is_as_good_as_none(stores: Stores, scope_of: MakeScope) -> None:
    """Another tenant's id, another env's, and one never heard of: the same words, before any lock is asked for."""
    switch = await halt(stores, scope_of("t_globex"))
    told = set()
    for scope, switch_id in (
        (scope_of(), switch.switch_id),
        (scope_of("t_globex", env=Env.PROD), switch.switch_id),
        (scope_of(), "switch_never"),
    ):
        with pytest.raises(NotFound) as refused:
            await release(stores, scope, switch_id)
        told.add((refused.value.message, refused.value.hint))
    assert len(told) == 1


async def test_a_rehearsal_halts_nothing(stores: Stores, scope_of: MakeScope) -> None:
    """A dry run answers with the switch that would be, and there is none."""
    assert (await halt(stores, replace(scope_of(), rehearsal=True))).target is Target.EVERYTHING
    assert await switches.present(stores, scope_of()) == ()


async def test_the_journal_tells_who_halted_what_and_keeps_the_reason_out(stores: Stores, scope_of: MakeScope) -> None:
    """Target and name are told, as a warning; of the reason only which kinds of personal data it holds."""
    switch = await halt(stores, scope_of(), "ACTION", "runLog", reason="Ask jane@people.example.")
    async with stores.read(scope_of()) as read:
        (row,) = await read.rows(EVENTS)
    assert (row["action"], row["subject_id"], row["severity"]) == ("switch.engaged", switch.switch_id, "WARNING")
    assert '"name":"runLog","target":"ACTION"' in row["payload"]
    assert "jane" not in row["payload"]
    assert row["pii_flags"] == '["email"]'
