"""A lock is what its authors asked for, and stands where somebody else put it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from lock_steps import approved, proposed

from nexus_graph.safeguards import Change, Deed, Resource, StrategicAction, locks, quota_change
from nexus_graph.safeguards.locks import ChangeClass, Lock, LockFilter, LockState, Proposal
from nexus_graph.safeguards.locks.proposing import MOST_DRAFTS
from nexus_graph.scope.errors import Conflict, Forbidden, Invalid, NexusError, NotFound, QuotaExceeded
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.journal import RunKind
from nexus_graph.stores.paging import Window
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
CHANGE = quota_change(Resource.CARDS, 7)
OTHER = quota_change(Resource.CARDS, 8)
CLASS = ChangeClass((StrategicAction.SET_QUOTA, StrategicAction.PUBLISH_CARD), ("kpi_corridor",), 3)
D, A, RJ, RV, X, U = LockState


async def stand(stores: Stores, scope: Scope, lock: Lock) -> Lock:
    """The lock as it stands now."""
    return (await locks.fetch(stores, scope, [lock.lock_id]))[lock.lock_id]


async def told(stores: Stores, scope: Scope, lock: Lock) -> list[tuple[str, str]]:
    """What happened to a lock, and who did it."""
    history = await locks.history(stores, scope, lock.lock_id, Window(50))
    return [(entry.action, entry.actor_id) for entry in history.items]


async def test_what_is_proposed_is_kept_and_allows_nothing(stores: Stores, scope_of: MakeScope) -> None:
    """A draft binds the digest of the change, holds what an approver must see, and lasts as long as it may."""
    member = scope_of(role=Role.MEMBER)
    document = "Write to ann@example.com."
    lock = await locks.propose(stores, member, Proposal(CHANGE, "  More room. ", document=document))
    assert (lock.state, lock.revision, lock.uses, lock.most_uses) == (D, 1, 0, 1)
    assert (lock.binds, lock.binds.digest, lock.reason, lock.document) == (
        CHANGE,
        CHANGE.digest,
        "More room.",
        document,
    )
    assert (lock.proposed_by, lock.authors, lock.decided_by) == ("member@t_acme", ("member@t_acme",), None)
    assert lock.expires_at - lock.valid_from == timedelta(days=30)
    assert (lock.handling.pii_flags, lock.handling.train_ok) == (("email",), False)
    assert await stand(stores, scope_of(), lock) == lock


async def test_a_class_is_bounded_and_canonical(stores: Stores, scope_of: MakeScope) -> None:
    """Its order says nothing; it covers its actions on its card types alone."""
    lock = await proposed(stores, scope_of(), replace(CLASS, actions=(*CLASS.actions, *reversed(CLASS.actions))))
    binds = CLASS.checked()
    assert (lock.binds, lock.most_uses) == (binds, 3)
    corridor = Change(StrategicAction.PUBLISH_CARD, "card_1", {}, "kpi_corridor")
    assert [binds.covers(each) for each in (corridor, CHANGE)] == [True, True]
    outside = (replace(corridor, card_type="kpi_definition"), replace(corridor, action=StrategicAction.RETIRE_CARD))
    assert not any(binds.covers(each) for each in (*outside, replace(corridor, card_type=None)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 1001}, "reason"),
        ({"binds": replace(CLASS, uses=0)}, "uses"),
        ({"binds": replace(CLASS, uses=1001)}, "uses"),
        ({"binds": replace(CLASS, actions=())}, "at least one action"),
        ({"binds": replace(CLASS, actions=(*CLASS.actions, StrategicAction.RELEASE_KILL_SWITCH))}, "very switch"),
        ({"binds": replace(CLASS, card_types=())}, "Card types"),
        ({"binds": replace(CLASS, actions=(StrategicAction.REINDEX,))}, "Card types"),
        ({"binds": replace(CLASS, card_types=("Kpi%",))}, "card types"),
        ({"binds": replace(CLASS, card_types=tuple(f"t{n}" for n in range(65)))}, "card types"),
        ({"expires_at": timedelta(0)}, "end after"),
        ({"expires_at": timedelta(days=30, seconds=9)}, "end after"),
        ({"valid_from": timedelta(days=31)}, "begin before"),
        ({"valid_from": timedelta(days=2), "expires_at": timedelta(days=1)}, "end after"),
    ],
)
async def test_a_proposal_without_bounds_is_refused(
    stores: Stores, scope_of: MakeScope, clock: Any, changes: dict[str, Any], words: str
) -> None:
    """By reason, class or window; nothing is written."""
    given = {name: clock.now + value if isinstance(value, timedelta) else value for name, value in changes.items()}
    with pytest.raises(Invalid, match=words):
        await locks.propose(stores, scope_of(), replace(Proposal(CHANGE, "Why."), **given))
    assert (await locks.list_locks(stores, scope_of(), LockFilter(), Window(10))).items == ()


async def test_who_floods_the_approvers_is_stopped(stores: Stores, scope_of: MakeScope) -> None:
    """A hundred undecided proposals of one's own are enough; a withdrawn one makes room, others are not held up."""
    member = scope_of(role=Role.MEMBER)
    drafts = [await proposed(stores, member, CHANGE) for _ in range(MOST_DRAFTS)]
    with pytest.raises(QuotaExceeded):
        await proposed(stores, member, CHANGE)
    await proposed(stores, scope_of(), CHANGE)
    await locks.revoke(stores, member, drafts[0].lock_id)
    await proposed(stores, member, CHANGE)


async def test_nobody_approves_their_own(stores: Stores, scope_of: MakeScope) -> None:
    """Not its proposer, nor anybody who edited it on the way; members, agents and the engine never."""
    owner, admin, third = scope_of(), scope_of(role=Role.ADMIN), scope_of(role=Role.ADMIN, who="third")
    lock = await proposed(stores, owner, CHANGE)
    edited = await locks.edit(stores, admin, lock.lock_id, 1, Proposal(OTHER, "Better."))
    assert (edited.revision, edited.proposed_by, edited.binds) == (2, admin.principal.id, OTHER)
    engine = Scope.system("t_acme", Env.DEV, "test")
    for scope in (owner, admin, scope_of(role=Role.MEMBER), scope_of(role=Role.AGENT), engine):
        with pytest.raises(Forbidden):
            await locks.approve(stores, scope, lock.lock_id, 2, OTHER.digest)
    done = await locks.approve(stores, third, lock.lock_id, 2, OTHER.digest)
    assert (done.state, done.decided_by) == (A, "third")
    assert await told(stores, owner, lock) == [
        ("lock.proposed", owner.principal.id),
        ("lock.edited", admin.principal.id),
        ("lock.approved", "third"),
    ]


async def test_only_what_was_seen_is_approved(stores: Stores, scope_of: MakeScope) -> None:
    """Another revision or another digest is a Conflict, and so is an approved lock."""
    member, owner = scope_of(role=Role.MEMBER), scope_of()
    lock = await proposed(stores, member, CHANGE)
    await locks.edit(stores, member, lock.lock_id, 1, Proposal(OTHER, "Better."))
    for revision, digest in ((1, CHANGE.digest), (1, OTHER.digest), (2, CHANGE.digest), (3, OTHER.digest)):
        with pytest.raises(Conflict):
            await locks.approve(stores, owner, lock.lock_id, revision, digest)
    with pytest.raises(Conflict):
        await locks.reject(stores, owner, lock.lock_id, 1)
    await locks.approve(stores, owner, lock.lock_id, 2, OTHER.digest)
    with pytest.raises(Conflict, match="APPROVED"):
        await locks.approve(stores, owner, lock.lock_id, 2, OTHER.digest)


async def test_an_edit_that_races_an_approval_leaves_no_unseen_approval(stores: Stores, scope_of: MakeScope) -> None:
    """Whichever comes first: what is approved in the end is what the approver saw, or nothing is."""
    member, owner = scope_of(role=Role.MEMBER), scope_of()
    heard = set()
    for turn in range(8):
        lock = await proposed(stores, member, CHANGE)
        racing = [
            locks.edit(stores, member, lock.lock_id, 1, Proposal(OTHER, "Better.")),
            locks.approve(stores, owner, lock.lock_id, 1, CHANGE.digest),
        ]
        outcomes = await asyncio.gather(*(racing if turn % 2 else reversed(racing)), return_exceptions=True)
        heard |= {type(outcome) for outcome in outcomes}
        now = await stand(stores, owner, lock)
        assert (now.state, now.binds, now.revision) == (D, OTHER, 2)
    assert heard == {Lock, Conflict}


async def test_editing_voids_an_approval(stores: Stores, scope_of: MakeScope) -> None:
    """The lock is a draft again, with its uses begun anew and nobody's decision on it."""
    member, owner = scope_of(role=Role.MEMBER), scope_of()
    lock = await approved(stores, member, owner, CHANGE)
    edited = await locks.edit(stores, member, lock.lock_id, 1, Proposal(CLASS, "More."))
    assert (edited.state, edited.decided_by, edited.decided_at) == (D, None, None)
    assert (edited.binds, edited.uses, edited.most_uses) == (CLASS.checked(), 0, 3)


async def test_expiry_comes_at_the_very_instant(stores: Stores, scope_of: MakeScope, clock: Any) -> None:
    """A microsecond before it the lock is approved, at it it is not; the filter says the same, and so do deeds."""
    owner, admin = scope_of(), scope_of(role=Role.ADMIN)
    lock = await approved(stores, owner, admin, CHANGE)
    for offset, state in ((-2, A), (-1, X), (0, X)):  # each look costs a microsecond
        clock.now = lock.expires_at + timedelta(microseconds=offset)
        assert (await stand(stores, owner, lock)).state is state
        clock.now = lock.expires_at + timedelta(microseconds=offset)
        page = await locks.list_locks(stores, owner, LockFilter(states=(state,)), Window(10))
        assert [each.lock_id for each in page.items] == [lock.lock_id]
    for deed in (
        locks.edit(stores, owner, lock.lock_id, 1, Proposal(OTHER, "Longer.")),
        locks.reject(stores, admin, lock.lock_id, 1),
        locks.revoke(stores, owner, lock.lock_id),
    ):
        with pytest.raises(Conflict, match="EXPIRED"):
            await deed


DEEDS = ("edit", "approve", "reject", "revoke")
ACTORS = ("proposer", "member", "admin", "owner", "agent", "engine")


def expected(state: LockState, deed: str, actor: str) -> type[NexusError] | LockState:
    """The rules once more, as a table would say them."""
    if actor == "agent" or (actor in ("member", "proposer") and deed in ("approve", "reject")):
        return Forbidden
    if (actor == "member" and deed in ("edit", "revoke")) or (actor == "engine" and deed == "approve"):
        return Forbidden
    becomes = {"edit": D, "approve": A, "reject": RJ, "revoke": RV}[deed]
    return becomes if state is D or (state is A and deed in ("edit", "revoke")) else Conflict


@pytest.mark.parametrize("state", LockState)
async def test_every_state_meets_every_actor(stores: Stores, scope_of: MakeScope, clock: Any, state: LockState) -> None:
    """All deeds by everybody on a lock in each state: what the rules say, and otherwise nothing changes."""
    proposer, owner = scope_of(role=Role.MEMBER, who="proposer"), scope_of()
    scopes = {
        "proposer": proposer,
        "member": scope_of(role=Role.MEMBER),
        "admin": scope_of(role=Role.ADMIN, who="another"),
        "owner": owner,
        "agent": scope_of(role=Role.AGENT),
        "engine": Scope.system("t_acme", Env.DEV, "test"),
    }
    for deed, actor in itertools.product(DEEDS, ACTORS):
        lock = await proposed(stores, proposer, CHANGE)
        if state is A:
            await locks.approve(stores, owner, lock.lock_id, 1, CHANGE.digest)
        elif state is RJ:
            await locks.reject(stores, owner, lock.lock_id, 1)
        elif state is RV:
            await locks.revoke(stores, proposer, lock.lock_id)
        elif state is X:
            clock.now = lock.expires_at
        elif state is U:
            await locks.approve(stores, owner, lock.lock_id, 1, CHANGE.digest)
            async with stores.work(owner, RunKind.ADMIN) as work:
                await locks.use(work, Deed("setQuota", Permission.QUOTAS_WRITE, change=CHANGE))
        before = await stand(stores, owner, lock)
        assert before.state is state
        scope, lock_id = scopes[actor], lock.lock_id
        attempts: dict[str, Callable[[], Awaitable[Lock]]] = {
            "edit": partial(locks.edit, stores, scope, lock_id, 1, Proposal(OTHER, "Why.")),
            "approve": partial(locks.approve, stores, scope, lock_id, 1, CHANGE.digest),
            "reject": partial(locks.reject, stores, scope, lock_id, 1),
            "revoke": partial(locks.revoke, stores, scope, lock_id),
        }
        attempt = attempts[deed]
        wanted = expected(state, deed, actor)
        if isinstance(wanted, LockState):
            assert (await attempt()).state is wanted, (deed, actor)
        else:
            with pytest.raises(wanted):
                await attempt()
            assert await stand(stores, owner, lock) == before


async def test_a_repetition_decides_once(stores: Stores, scope_of: MakeScope) -> None:
    """The same idempotency key gives the lock as it stands; nothing is told twice."""
    member, owner = scope_of(role=Role.MEMBER), scope_of()
    first = await locks.propose(stores, member, Proposal(CHANGE, "Why."), once=Once("p", 1))
    assert await locks.propose(stores, member, Proposal(CHANGE, "Why."), once=Once("p", 1)) == first
    for _ in range(2):
        done = await locks.approve(stores, owner, first.lock_id, 1, CHANGE.digest, once=Once("a", 1))
        assert done.state is A
    assert [action for action, _ in await told(stores, owner, first)] == ["lock.proposed", "lock.approved"]


async def test_lists_are_filtered_and_paged(stores: Stores, scope_of: MakeScope) -> None:
    """By state, by action (a class by each of its own), by target; latest first."""
    owner, admin = scope_of(), scope_of(role=Role.ADMIN)
    exact = await approved(stores, owner, admin, CHANGE)
    wide = await proposed(stores, owner, CLASS)
    retirement = await proposed(stores, owner, Change(StrategicAction.RETIRE_CARD, "card_1", {"version": 1}, "note"))

    async def found(**chosen: Any) -> list[str]:
        page = await locks.list_locks(stores, owner, LockFilter(**chosen), Window(10))
        return [lock.lock_id for lock in page.items]

    assert await found() == [retirement.lock_id, wide.lock_id, exact.lock_id]
    assert await found(states=(A,)) == [exact.lock_id]
    assert await found(actions=(StrategicAction.SET_QUOTA,)) == [wide.lock_id, exact.lock_id]
    assert await found(actions=(StrategicAction.RETIRE_CARD, StrategicAction.REINDEX)) == [retirement.lock_id]
    assert await found(target="card_1") == [retirement.lock_id]
    assert await found(target="card_2") == []
    page = await locks.list_locks(stores, owner, LockFilter(), Window(2))
    assert page.has_next
    rest = await locks.list_locks(stores, owner, LockFilter(), Window(2, after=page.keys[-1]))
    assert [lock.lock_id for lock in rest.items] == [exact.lock_id]


async def test_a_screen_is_shown_the_open_locks_that_concern_it(stores: Stores, scope_of: MakeScope) -> None:
    """On its cards, on cards that will name it, and classes of its types; no decided ones, no other screens'."""
    owner = scope_of()

    async def on(target: str, *screens: str) -> str:
        change = Change(StrategicAction.PUBLISH_CARD, target, {}, "app_definition")
        return (await locks.propose(stores, owner, Proposal(change, "Why.", concerns=screens))).lock_id

    shown = [await on("card_here"), await on("card_new", "side_bar", "overview")]
    await on("card_elsewhere", "sidexbar")
    await locks.revoke(stores, owner, await on("card_here"))
    apps = ChangeClass((StrategicAction.PUBLISH_CARD,), ("app_definition", "kpi_corridor"), 2)
    shown.append((await proposed(stores, owner, apps)).lock_id)
    await proposed(stores, owner, replace(apps, card_types=("kpi_corridor",)))
    found = await locks.concerning(stores, owner, ["card_here"], "side_bar", ["app_definition", "connector_config"])
    assert [lock.lock_id for lock in found] == shown[::-1]


async def test_a_foreign_lock_is_like_no_lock(stores: Stores, scope_of: MakeScope) -> None:
    """Another tenant and another env read nothing, and their deeds answer as for an unknown id."""
    lock = await proposed(stores, scope_of(who="proposer"), CHANGE)
    for scope in (scope_of("t_globex"), scope_of(env=Env.PROD)):
        assert await locks.fetch(stores, scope, [lock.lock_id]) == {}
        assert (await locks.list_locks(stores, scope, LockFilter(), Window(5))).items == ()
        heard = set()
        for lock_id in (lock.lock_id, "lock_" + "0" * 32):
            for deed in (
                locks.edit(stores, scope, lock_id, 1, Proposal(OTHER, "Why.")),
                locks.approve(stores, scope, lock_id, 1, CHANGE.digest),
                locks.reject(stores, scope, lock_id, 1),
                locks.revoke(stores, scope, lock_id),
            ):
                with pytest.raises(NotFound) as caught:
                    await deed
                heard.add((caught.value.message, caught.value.hint, caught.value.path))
            with pytest.raises(NotFound):
                await locks.history(stores, scope, lock_id, Window(5))
        assert len(heard) == 1
