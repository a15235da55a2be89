"""The chain: what is decided beforehand is what is enforced, over random states of all gates."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from nexus_graph import safeguards
from nexus_graph.safeguards import (
    Change,
    Decision,
    Deed,
    Resource,
    StrategicAction,
    chain,
    locks,
    quota_change,
    switch_release,
)
from nexus_graph.safeguards.consent import changing
from nexus_graph.safeguards.locks import ChangeClass, Proposal
from nexus_graph.safeguards.quotas import limiting
from nexus_graph.safeguards.rates import Price, Rates
from nexus_graph.safeguards.switches import Known, Target
from nexus_graph.safeguards.switches.engaging import engage
from nexus_graph.scope.errors import Forbidden, NexusError
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.limits import Limits
from nexus_graph.scope.permission import Permission
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

ScopeOf = Callable[..., Scope]

SEED, STATES = 20261122, 60
GIVEN = Handling((), train_ok=True)
KPI = Change(StrategicAction.PUBLISH_CARD, "card_1", {"textDigest": "d1"}, "kpi_definition")
OTHER = replace(KPI, content={"textDigest": "d2"})
OPEN = replace(KPI, content={}, open=True)
CLASS = ChangeClass((StrategicAction.PUBLISH_CARD,), ("kpi_definition",), 2)
MINE = Forbidden("It is somebody else's.")
DEEDS = (
    Deed("publishCard", Permission.CARDS_PUBLISH, {Resource.INDEX_WRITES: 1}, handling=GIVEN),
    Deed("publishCard", Permission.CARDS_PUBLISH, {Resource.INDEX_WRITES: 1}, KPI, GIVEN),
    Deed("publishCard", Permission.CARDS_PUBLISH, {Resource.INDEX_WRITES: 1}, OPEN, GIVEN),
    Deed("reserveAsset", Permission.ASSETS_WRITE, {Resource.STORED_BYTES: 500, Resource.ASSETS: 1}, handling=GIVEN),
    Deed("search", Permission.INDEX_SEARCH, price=20, provider="onnx"),
    Deed("closeRun", Permission.RUNS_WRITE, barred=MINE),
    Deed("openRun", Permission.RUNS_WRITE, price=20),
    Deed("setQuota", Permission.QUOTAS_WRITE, change=quota_change(Resource.CARDS, 5)),
    Deed("releaseKillSwitch", Permission.SWITCHES_RELEASE, change=switch_release("switch_1")),
    Deed("startExport", Permission.EXPORTS_WRITE),
)
KNOWN = Known(frozenset({"publishCard", "search", "openRun"}), frozenset({"onnx"}))


@dataclass(frozen=True)
class State:
    """One state of everything that a gate looks at."""

    role: Role
    halted: tuple[Target, str] | None
    drained: bool
    no_room: bool
    lock: str
    tenant_out: bool
    own_out: bool

    @classmethod
    def random(cls, dice: random.Random) -> State:
        """Any state; most gates are open most of the time, so that each is sometimes the only one that refuses."""
        return cls(
            role=dice.choice([Role.OWNER, Role.ADMIN, Role.ADMIN, Role.MEMBER, Role.AGENT]),
            halted=dice.choice([None, None, None, *_HALTS]),
            drained=dice.random() < 0.25,
            no_room=dice.random() < 0.25,
            lock=dice.choice(["none", "exact", "class", "draft", "other", "expired", "used"]),
            tenant_out=dice.random() < 0.3,
            own_out=dice.random() < 0.3,
        )

    def expected(self, deed: Deed, scope: Scope) -> list[str]:
        """The codes that a deed must be refused with, written down a second time and much more simply."""
        codes = []
        if deed.action != "releaseKillSwitch" and self.halted in (
            (Target.EVERYTHING, ""),
            (Target.ACTION, deed.action),
            (Target.PROVIDER, deed.provider),
        ):
            codes.append("HALTED")
        if self.drained and deed.price:
            codes.append("THROTTLED")
        if self.no_room and deed.takes:
            codes.append("QUOTA_EXCEEDED")
        if not scope.may(deed.permission) or deed.barred is not None:
            codes.append("FORBIDDEN")
        if deed.change is not None and not self._locked(deed.change):
            codes.append("LOCK_REQUIRED")
        if self.tenant_out and deed.action == "startExport":
            codes.append("WITHHELD")
        return codes

    def _locked(self, change: Change) -> bool:
        if change.action is not StrategicAction.PUBLISH_CARD:
            return False
        return self.lock in ("exact", "class") or (change.open and self.lock == "other")


_HALTS = ((Target.EVERYTHING, ""), (Target.ACTION, "publishCard"), (Target.PROVIDER, "onnx"))


async def arrange(stores: Stores, clock: Any, scope: Scope, state: State) -> None:
    """Bring one tenant into a state."""
    system = Scope.system(scope.tenant_id, scope.env, "test")
    await arrange_lock(stores, clock, scope, state.lock)
    if state.no_room:
        for resource in (Resource.INDEX_WRITES, Resource.ASSETS):
            await limiting.set_quota(stores, system, resource, 0)
    if state.tenant_out:
        await changing.set_tenant_opt_out(stores, (), system, True)
    if state.own_out:
        await changing.set_own_opt_out(stores, (), replace(scope, rights=frozenset(Permission)), True)
    if state.drained:
        await Rates(stores).take(scope, Price(90))
    if state.halted is not None:
        await engage(stores, system, KNOWN, *state.halted, "A drill")


async def arrange_lock(stores: Stores, clock: Any, scope: Scope, lock: str) -> None:
    """Bring a lock about: proposed by one, approved by another."""
    if lock == "none":
        return
    everything = frozenset(Permission)
    proposer, approver = (
        replace(scope, role=Role.OWNER, rights=everything, principal=replace(scope.principal, id=who))
        for who in ("proposer", "approver")
    )
    bound: dict[str, Change | ChangeClass] = {"class": CLASS, "other": OTHER}
    expires_at = stores.clock() + timedelta(hours=1) if lock == "expired" else None
    proposed = await locks.propose(stores, proposer, Proposal(bound.get(lock, KPI), "Because", expires_at=expires_at))
    if lock == "draft":
        return
    await locks.approve(stores, approver, proposed.lock_id, proposed.revision, proposed.binds.digest)
    if lock == "expired":
        clock.advance(hours=2)
    if lock == "used":
        async with stores.work(proposer, RunKind.ADMIN) as work:
            await locks.use(work, Deed("publishCard", Permission.CARDS_PUBLISH, change=KPI))


async def decided(stores: Stores, scope: Scope, deed: Deed) -> Decision:
    """What a screen is told."""
    async with stores.read(scope) as read:
        return await safeguards.decide(read, deed)


async def enforced(stores: Stores, scope: Scope, deed: Deed) -> NexusError | Handling:
    """What happens to the deed, taken back."""
    try:
        async with stores.work(replace(scope, rehearsal=True), RunKind.ADMIN) as work:
            handling = await safeguards.enforce(work, deed)
            if deed.takes or deed.change:
                work.record(Event("test.noted", "test", "", redact({}), GIVEN))
    except NexusError as error:
        return error
    return handling


@pytest.fixture
def small(stores: Stores) -> Stores:
    """Stores whose actors have a hundred points that hardly ever fill up again."""
    return replace(stores, limits=Limits(actor_burst=100, actor_per_second=1, tenant_burst=10_000))


async def test_decide_and_enforce_never_disagree(small: Stores, clock: Any, scope_of: ScopeOf) -> None:
    """Over random states: the same refusals in the order of the gates, the first of them raised with all blockers."""
    dice, refused, passed = random.Random(SEED), set[str](), 0  # noqa: S311 - states, not secrets
    for number in range(STATES):
        state = State.random(dice)
        scope = scope_of(f"t_state{number}", state.role)
        await arrange(small, clock, scope, state)
        for deed in DEEDS:
            told = f"{state} {deed.action} {deed.change}"
            decision = await decided(small, scope, deed)
            codes = [blocker.code for blocker in decision.blockers]
            assert codes == state.expected(deed, scope), told
            refused |= set(codes)
            answer = await enforced(small, scope, deed) if deed.change is None or not deed.change.open else None
            if isinstance(answer, NexusError):
                assert not decision.allowed, told
                assert answer.code == codes[0], told
                assert answer.blockers == decision.blockers, told
            elif answer is not None:
                assert decision.allowed, told
                passed += 1
                assert answer.train_ok == (deed.handling.train_ok and not (state.tenant_out or state.own_out)), told
    assert refused == set(chain.ORDER.values())
    assert passed > STATES


async def test_a_decision_takes_nothing(small: Stores, clock: Any, scope_of: ScopeOf) -> None:
    """Asking a hundred times uses up neither the lock nor the room; doing it does."""
    scope = scope_of()
    await arrange_lock(small, clock, scope, "exact")
    await limiting.set_quota(small, Scope.system(*_place(scope), "test"), Resource.INDEX_WRITES, 1)
    deed = DEEDS[1]
    for _ in range(100):
        assert (await decided(small, scope, deed)).allowed
    async with small.work(scope, RunKind.PUBLISH) as work:
        await safeguards.enforce(work, deed)
        work.record(Event("test.noted", "test", "", redact({}), GIVEN))
    assert [each.code for each in (await decided(small, scope, deed)).blockers] == ["QUOTA_EXCEEDED", "LOCK_REQUIRED"]


def _place(scope: Scope) -> tuple[str, Env]:
    return scope.tenant_id, scope.env
