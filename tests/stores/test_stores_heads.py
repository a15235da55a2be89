"""What moved: every head that grew since a revision, whatever the clocks say; and rounds that cost no read a scope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from engines import behind, beside

from nexus_graph import assets, sessions
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Scope
from nexus_graph.stores.follower import Follower
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.work import Stores

ScopeOf = Callable[..., Scope]


async def tell(stores: Stores, scope: Scope, action: str = "other") -> None:
    """One entry."""
    async with stores.work(scope, RunKind.PUBLISH) as work:
        work.record(Event(action, "card", "card_1", redact({}), Handling((), train_ok=False)))


async def nothing(*_: Any) -> None:
    """A deed."""


async def test_only_what_moved_is_told(stores: Stores, scope_of: ScopeOf) -> None:
    """Everything to who saw nothing; then each head once, with its newest number, to each who looks."""
    acme, globex = scope_of(), scope_of("t_globex")
    assert await stores.moved(0) == (0, [])
    for scope in (acme, globex, acme):
        await tell(stores, scope)
    first, found = await stores.moved(0)
    assert sorted(found) == [(acme.key, 2), (globex.key, 1)]
    assert await stores.moved(first) == (first, [])
    await tell(stores, globex)
    second, found = await stores.moved(first)
    assert found == [(globex.key, 2)]
    assert sorted((await stores.moved(0))[1]) == [(acme.key, 2), (globex.key, 2)]
    assert second > first


@pytest.mark.parametrize("apart", [timedelta(days=3), timedelta(days=-3)])
async def test_no_clock_hides_what_moved(stores: Stores, scope_of: ScopeOf, apart: timedelta) -> None:
    """A process whose clock is days off is seen by others, and sees them, at the next look."""
    acme, globex = scope_of(), scope_of("t_globex")
    async with beside(stores) as other:
        other = replace(other, clock=lambda: stores.clock() + apart)
        await tell(stores, acme)
        await tell(other, globex)
        mine, theirs = (await stores.moved(0))[0], (await other.moved(0))[0]
        await tell(other, acme)
        await tell(stores, globex)
        for each, revision in ((stores, mine), (other, theirs)):
            assert sorted((await each.moved(revision))[1]) == [(acme.key, 2), (globex.key, 2)]


async def test_heads_that_go_back_are_read_anew(stores: Stores, scope_of: ScopeOf) -> None:
    """As when a copy of the database is put back under a process that runs; one that is gone has moved to nothing."""
    acme, globex = scope_of(), scope_of("t_globex")
    await tell(stores, acme)
    await tell(stores, globex)
    revision, _ = await stores.moved(0)
    async with behind(stores) as connection:
        await connection.rows("delete from journal_heads where tenant_id = 't_globex'", {})
    assert sorted((await stores.moved(revision))[1]) == [(acme.key, 1), (globex.key, 0)]
    assert sorted((await stores.moved(0))[1]) == [(acme.key, 1), (globex.key, 0)]


async def test_rounds_over_many_scopes_are_few_statements(
    stores: Stores, scope_of: ScopeOf, statements: list[str]
) -> None:
    """What a follower, a sweeper and a start ask does not grow with scopes in which there is nothing to do."""
    counts = []
    await tell(stores, scope_of())
    await stores.moved(0)
    for tenants in (2, 12):
        for number in range(tenants):
            await tell(stores, scope_of(f"t_{number}"))
        statements.clear()
        for _ in range(3):
            assert not await Follower("f", ("wanted",), nothing).catch_up(stores)
        assert await Follower("f", ("wanted",), nothing).lag(stores) == 0
        assert await assets.sweep_expired(stores) == 0
        assert await sessions.sweep(stores) == 0
        counts.append(len(statements))
    assert counts[0] == counts[1] <= 24


async def test_a_new_follower_goes_where_something_waits(
    stores: Stores, scope_of: ScopeOf, statements: list[str]
) -> None:
    """Its first look tells which scopes those are; the others are left alone."""
    wanted = scope_of("t_wanted", env=Env.PROD)
    for number in range(10):
        await tell(stores, scope_of(f"t_{number}"))
    await tell(stores, wanted, "wanted")
    seen = []

    async def deed(_: Stores, scope: Scope, __: Any) -> None:
        seen.append(scope.key)

    follower = Follower("f", ("wanted", "also"), deed)
    statements.clear()
    assert await follower.catch_up(stores)
    assert seen == [wanted.key]
    assert len([sql for sql in statements if "journal_events" in sql]) == 2  # the look, and that one scope
    await tell(stores, scope_of("t_3"), "also")
    assert await follower.catch_up(stores)
    assert seen == [wanted.key, ("t_3", "dev")]
