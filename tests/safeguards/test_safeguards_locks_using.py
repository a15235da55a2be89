"""What is strategic happens only under a lock, and only as often as it allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, cast

import pytest
from lock_steps import approved, proposed
from shipped import MANIFESTS

from nexus_graph import cards, safeguards
from nexus_graph.safeguards import Change, Deed, Resource, StrategicAction, locks, quota_change
from nexus_graph.safeguards.locks import ChangeClass, LockState, Proposal
from nexus_graph.safeguards.locks.model import NEVER_IN_ADVANCE
from nexus_graph.scope.errors import LockRequired
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Stores

MakeScope = Callable[..., Scope]
CHANGE = quota_change(Resource.CARDS, 7)
ANY_QUOTA = ChangeClass((StrategicAction.SET_QUOTA,), (), 2)
EVENTS = Statement(
    "select action, subject_kind, subject_id from journal_events where tenant_id = :tenant_id and env = :env "
    "and action like 'lock.%' order by seq"
)


async def act(stores: Stores, scope: Scope, change: Change | None = CHANGE, *, whole: bool = True) -> None:
    """A strategic deed that changes nothing else; without `whole` it breaks off at its end."""
    async with stores.work(scope, RunKind.ADMIN) as work:
        await safeguards.enforce(work, Deed("setQuota", Permission.QUOTAS_WRITE, change=change))
        work.record(Event("quota.set", "quota", "", redact({}), Handling((), train_ok=False)))
        if not whole:
            raise RuntimeError("broke")


async def uses(stores: Stores, scope: Scope, *lock_ids: str) -> list[tuple[LockState, int]]:
    """State and uses of locks."""
    found = await locks.fetch(stores, scope, lock_ids)
    return [(found[lock_id].state, found[lock_id].uses) for lock_id in lock_ids]


async def acts(stores: Stores, scope: Scope) -> Sequence[tuple[Any, ...]]:
    """What the journal tells of locks and their use."""
    async with stores.read(scope) as read:
        return [tuple(row) for row in await read.rows(EVENTS)]


async def test_no_lock_no_deed(stores: Stores, scope_of: MakeScope) -> None:
    """A refusal names the action, the digest and the proposal that would do; what is not strategic passes."""
    owner = scope_of()
    with pytest.raises(LockRequired, match="SET_QUOTA") as caught:
        await act(stores, owner)
    assert caught.value.change_digest == CHANGE.digest
    assert "proposeLock(input: {change: {setQuota: ...}})" in (caught.value.hint or "")
    assert "other than the proposer" in (caught.value.hint or "")
    await act(stores, owner, None)


async def test_an_exact_lock_allows_exactly_one_change_once(stores: Stores, scope_of: MakeScope) -> None:
    """A draft allows nothing; an approved one allows this change and no other; then it is used up."""
    owner, admin = scope_of(), scope_of(role=Role.ADMIN)
    draft = await proposed(stores, owner, CHANGE)
    with pytest.raises(LockRequired):
        await act(stores, owner)
    await locks.approve(stores, admin, draft.lock_id, 1, CHANGE.digest)
    others = (quota_change(Resource.CARDS, 8), quota_change(Resource.ASSETS, 7), replace(CHANGE, card_type="note"))
    for other in others:
        with pytest.raises(LockRequired):
            await act(stores, owner, other)
    await act(stores, admin)
    assert await uses(stores, owner, draft.lock_id) == [(LockState.USED, 1)]
    with pytest.raises(LockRequired):
        await act(stores, owner)
    told = [action for action, _, subject in await acts(stores, owner) if subject == draft.lock_id]
    assert told == ["lock.proposed", "lock.approved", "lock.used"]


async def test_exact_locks_go_first_then_what_expires_first(stores: Stores, scope_of: MakeScope, clock: Any) -> None:
    """Of several locks that would do, the same one is used every time."""
    owner, admin = scope_of(), scope_of(role=Role.ADMIN)
    late = await approved(stores, owner, admin, ANY_QUOTA)
    soon = await locks.propose(stores, owner, Proposal(ANY_QUOTA, "Why.", expires_at=clock.now + timedelta(days=1)))
    await locks.approve(stores, admin, soon.lock_id, 1, soon.binds.digest)
    exact = await approved(stores, owner, admin, CHANGE)
    ids = (exact.lock_id, soon.lock_id, late.lock_id)
    for counted in ([1, 0, 0], [1, 1, 0], [1, 2, 0], [1, 2, 1], [1, 2, 2]):
        await act(stores, owner)
        assert [count for _, count in await uses(stores, owner, *ids)] == counted
    with pytest.raises(LockRequired):
        await act(stores, owner)


@pytest.mark.parametrize("way", ["revoked", "edited", "expired", "early", "foreign", "other env"])
async def test_a_lock_that_does_not_count_allows_nothing(
    stores: Stores, scope_of: MakeScope, clock: Any, way: str
) -> None:
    """Revoked, edited since, expired at the instant, before its window, of another tenant or env."""
    owner, admin = scope_of(), scope_of(role=Role.ADMIN)
    if way in ("foreign", "other env"):
        place = {"tenant_id": "t_globex"} if way == "foreign" else {"env": Env.PROD}
        await approved(stores, scope_of(**place), scope_of(role=Role.ADMIN, **place), CHANGE)
    elif way == "early":
        begin = clock.now + timedelta(hours=1)
        lock = await locks.propose(stores, owner, Proposal(CHANGE, "Why.", valid_from=begin))
        await locks.approve(stores, admin, lock.lock_id, 1, CHANGE.digest)
    else:
        lock = await approved(stores, owner, admin, CHANGE)
    if way == "revoked":
        await locks.revoke(stores, owner, lock.lock_id)
    elif way == "edited":
        await locks.edit(stores, owner, lock.lock_id, 1, Proposal(CHANGE, "Said otherwise."))
    elif way == "expired":
        clock.now = lock.expires_at - timedelta(microseconds=1)
    with pytest.raises(LockRequired):
        await act(stores, owner)
    if way == "early":
        clock.now = lock.valid_from
        await act(stores, owner)


async def test_what_fails_or_is_rehearsed_uses_nothing_up(stores: Stores, scope_of: MakeScope) -> None:
    """The use is part of the deed's own transaction; a dry run passes and takes it back."""
    owner, admin = scope_of(), scope_of(role=Role.ADMIN)
    lock = await approved(stores, owner, admin, CHANGE)
    with pytest.raises(RuntimeError, match="broke"):
        await act(stores, owner, whole=False)
    await act(stores, replace(owner, rehearsal=True))
    assert await uses(stores, owner, lock.lock_id) == [(LockState.APPROVED, 0)]
    await act(stores, owner)


async def test_an_action_that_nobody_knows_needs_a_lock(stores: Stores, scope_of: MakeScope) -> None:
    """Even where a class allows everything that is known."""
    owner, admin = scope_of(), scope_of(role=Role.ADMIN)
    known = tuple(action for action in StrategicAction if action not in NEVER_IN_ADVANCE)
    everything = ChangeClass(known, tuple(MANIFESTS.by_type), 9)
    await approved(stores, owner, admin, everything)

    class Later(StrEnum):
        REWRITE_HISTORY = "REWRITE_HISTORY"

    unknown = Change(cast("StrategicAction", Later.REWRITE_HISTORY), "", {})
    with pytest.raises(LockRequired, match="REWRITE_HISTORY"):
        await act(stores, owner, unknown)
    await act(stores, owner)


async def test_what_the_operator_does_without_a_lock_is_told(stores: Stores, scope_of: MakeScope) -> None:
    """The engine needs none, and its owners find the digest of the change in their audit."""
    await act(stores, Scope.system("t_acme", Env.DEV, "command_line"))
    assert await acts(stores, scope_of()) == [("lock.waived", "change", CHANGE.digest)]
    await act(stores, Scope.system("t_acme", Env.DEV, "command_line"), None)
    assert len(await acts(stores, scope_of())) == 1


def corridor(upper: float) -> str:
    """A strategic card."""
    head = f"card_type: kpi_corridor\nkey: mer\ntitle: MER\nkpi: mer\nwindow: MTD\nupper: {upper}\n"
    return f"---\n{head}---\nA band.\n"


async def test_a_card_is_published_under_the_lock_for_exactly_it(stores: Stores, scope_of: MakeScope) -> None:
    """Its text, version and consent: another byte, another consent, a revision or its retirement need another lock."""
    owner, admin = scope_of(), scope_of(role=Role.ADMIN)
    told = await cards.propose(stores, MANIFESTS, owner, corridor(5.0), train_ok=True)
    assert (told.strategic, told.difference.text.count("\n+")) == (True, 9)
    await approved(stores, owner, admin, told.change)
    for text, train_ok in ((corridor(6.0), True), (corridor(5.0), False)):
        with pytest.raises(LockRequired):
            await cards.publish(stores, MANIFESTS, owner, text, train_ok=train_ok)
    done = await cards.publish(stores, MANIFESTS, admin, corridor(5.0), train_ok=True)
    assert done.created
    card_id = done.card.card_id
    with pytest.raises(LockRequired) as caught:
        await cards.publish(stores, MANIFESTS, owner, corridor(6.0), train_ok=True, expected_version=1)
    revision = await cards.propose(stores, MANIFESTS, owner, corridor(6.0), train_ok=True, expected_version=1)
    assert caught.value.change_digest == revision.change.digest
    with pytest.raises(LockRequired):
        await cards.retire(stores, MANIFESTS, owner, card_id, 1)
    gone = await cards.propose_retirement(stores, MANIFESTS, owner, card_id, 1)
    assert gone.difference.text.startswith("@@ -1,9 +0,0 @@")
    await approved(stores, owner, admin, gone.change)
    assert (await cards.retire(stores, MANIFESTS, owner, card_id, 1)).retired_at is not None


async def test_a_class_is_used_exactly_as_often_as_it_may_be(stores: Stores, scope_of: MakeScope) -> None:
    """Fifty publish at once under seven uses: seven pass, forty-three are refused, and the lock is used up."""
    owner, admin = scope_of(), scope_of(role=Role.ADMIN)
    lock = await approved(stores, owner, admin, ChangeClass((StrategicAction.PUBLISH_CARD,), ("app_definition",), 7))
    rituals = "surfaces: [overview]\nrituals: [{ritual: look, title: Look, cadence: weekly}]"
    texts = [
        f"---\ncard_type: app_definition\nkey: app/{n}\ntitle: App\napp: app_{n}\n{rituals}\n---\n" for n in range(50)
    ]
    outcomes = await asyncio.gather(
        *(cards.publish(stores, MANIFESTS, owner, text, train_ok=False) for text in texts), return_exceptions=True
    )
    passed = [each for each in outcomes if isinstance(each, cards.Published)]
    refused = [each for each in outcomes if isinstance(each, LockRequired)]
    assert (len(passed), len(refused)) == (7, 43)
    assert await uses(stores, owner, lock.lock_id) == [(LockState.USED, 7)]
    assert [action for action, *_ in await acts(stores, owner)].count("lock.used") == 7
