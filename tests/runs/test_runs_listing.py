"""Runs by window, kind and status, and who sees which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nexus_graph import runs
from nexus_graph.runs import RunFilter, Subject
from nexus_graph.scope.errors import Forbidden, Invalid, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.journal import Event, RunKind, RunStatus
from nexus_graph.stores.paging import Window
from nexus_graph.stores.work import Stores

ScopeOf = Callable[..., Scope]


async def write(
    stores: Stores, scope: Scope, run_id: str, kind: RunKind = RunKind.INGEST, ends: RunStatus | None = None
) -> None:
    """A run of two entries about one asset and one card."""
    async with stores.work(scope, kind, run_id=run_id) as work:
        work.record(
            Event("asset.sealed", "asset", f"asset_of_{run_id}", redact({}), Handling((), train_ok=False), ends=None)
        )
        work.record(Event("card.seen", "card", "card_1", redact({}), Handling((), train_ok=False), ends=ends))


async def test_runs_are_listed_newest_first_by_kind_status_and_time(
    stores: Stores, scope_of: ScopeOf, clock: Any
) -> None:
    """Each side of the filter narrows the list, and all sides together are a conjunction."""
    scope = scope_of()
    await write(stores, scope, "run_a", RunKind.INGEST, RunStatus.SUCCEEDED)
    await write(stores, scope, "run_b", RunKind.PUBLISH, RunStatus.FAILED)
    clock.advance(hours=1)
    noon = clock.now
    await write(stores, scope, "run_c", RunKind.INGEST)

    async def ids(**chosen: Any) -> list[str]:
        found = await runs.list_runs(stores, scope, RunFilter(**chosen), Window(10))
        return [run.run_id for run in found.items]

    assert await ids() == ["run_c", "run_b", "run_a"]
    assert await ids(kinds=(RunKind.INGEST,)) == ["run_c", "run_a"]
    assert await ids(kinds=(RunKind.INGEST, RunKind.PUBLISH), statuses=(RunStatus.FAILED,)) == ["run_b"]
    assert await ids(started_from=noon) == ["run_c"]
    assert await ids(started_to=noon) == ["run_b", "run_a"]
    assert await ids(kinds=(RunKind.INGEST,), statuses=(RunStatus.RUNNING,), started_from=noon) == ["run_c"]


async def test_runs_page_forward_and_backward(stores: Stores, scope_of: ScopeOf) -> None:
    """Pages of two from either end meet, with the keys that the next window needs."""
    scope = scope_of()
    for name in "abcde":
        await write(stores, scope, f"run_{name}")
    first = await runs.list_runs(stores, scope, RunFilter(), Window(2))
    assert [run.run_id for run in first.items] == ["run_e", "run_d"]
    assert first.has_next
    rest = await runs.list_runs(stores, scope, RunFilter(), Window(2, forward=False))
    assert [run.run_id for run in rest.items] == ["run_b", "run_a"]
    between = Window(2, after=first.keys[-1], before=rest.keys[0])
    middle = await runs.list_runs(stores, scope, RunFilter(), between)
    assert [run.run_id for run in middle.items] == ["run_c"]


async def test_a_run_says_what_its_entries_add_up_to(stores: Stores, scope_of: ScopeOf) -> None:
    """Kind, status, times, entries, place in the journal, actor and trace come from the entries."""
    scope = scope_of()
    await write(stores, scope, "run_other")
    await write(stores, scope, "run_a", RunKind.PUBLISH, RunStatus.FAILED)
    run = (await runs.fetch(stores, scope, ["run_a", "run_unknown"]))["run_a"]
    assert (run.kind, run.status, run.entries) == (RunKind.PUBLISH, RunStatus.FAILED, 2)
    assert (run.first_seq, run.last_seq) == (3, 4)
    assert (run.actor_kind, run.actor_id, run.trace_id) == ("user", scope.principal.id, scope.trace_id)
    assert run.title is None
    assert run.ended_at == run.started_at


async def test_counts_and_sources_of_many_runs_come_in_one_statement(stores: Stores, scope_of: ScopeOf) -> None:
    """Entries by action, and distinct subjects in order of the first 20 entries only."""
    scope = scope_of()
    await write(stores, scope, "run_a")
    async with stores.work(scope, RunKind.INGEST, run_id="run_a") as work:
        for place in range(30):
            work.record(
                Event("card.seen", "card", f"card_{place % 19}", redact({}), Handling((), train_ok=False), ends=None)
            )
    await write(stores, scope, "run_b")
    assert await runs.counts(stores, scope, ["run_a", "run_b", "run_c"]) == {
        "run_a": {"asset.sealed": 1, "card.seen": 31},
        "run_b": {"asset.sealed": 1, "card.seen": 1},
    }
    found = await runs.sources(stores, scope, ["run_a", "run_b"])
    assert found["run_b"] == (Subject("asset", "asset_of_run_b"), Subject("card", "card_1"))
    others = tuple(Subject("card", f"card_{place}") for place in range(18) if place != 1)
    assert found["run_a"] == (Subject("asset", "asset_of_run_a"), Subject("card", "card_1"), *others)


async def test_an_agent_sees_its_own_runs_and_a_member_sees_all(stores: Stores, scope_of: ScopeOf) -> None:
    """Without runs:read_all every view is narrowed to the principal's own runs."""
    agent, other = scope_of(role=Role.AGENT, who="key_1"), scope_of(role=Role.AGENT, who="key_2")
    await write(stores, agent, "run_own")
    await write(stores, other, "run_other")
    both, window = ["run_own", "run_other"], Window(10)
    assert [run.run_id for run in (await runs.list_runs(stores, agent, RunFilter(), window)).items] == ["run_own"]
    assert list(await runs.fetch(stores, agent, both)) == ["run_own"]
    assert list(await runs.counts(stores, agent, both)) == ["run_own"]
    assert list(await runs.sources(stores, agent, both)) == ["run_own"]
    with pytest.raises(NotFound):
        await runs.log(stores, agent, "run_other", window)
    member = scope_of(role=Role.MEMBER)
    assert len((await runs.list_runs(stores, member, RunFilter(), window)).items) == 2
    assert len((await runs.log(stores, member, "run_other", window)).items) == 2


async def test_a_user_with_an_agents_id_does_not_see_its_runs(stores: Stores, scope_of: ScopeOf, policy: Any) -> None:
    """Own means the same kind of principal, not only the same id."""
    agent = scope_of(role=Role.AGENT, who="same")
    await write(stores, scope_of(role=Role.MEMBER, who="same"), "run_of_user")
    assert await runs.fetch(stores, agent, ["run_of_user"]) == {}


@pytest.mark.parametrize("where", [("t_globex", Env.DEV), ("t_acme", Env.STAGING)])
async def test_runs_of_another_tenant_or_env_do_not_exist(
    stores: Stores, scope_of: ScopeOf, where: tuple[str, Env]
) -> None:
    """An owner elsewhere finds nothing under the same id."""
    await write(stores, scope_of(), "run_a")
    stranger = scope_of(where[0], Role.OWNER, where[1])
    assert (await runs.list_runs(stores, stranger, RunFilter(), Window(10))).items == ()
    assert await runs.fetch(stores, stranger, ["run_a"]) == {}
    assert await runs.counts(stores, stranger, ["run_a"]) == {}
    assert await runs.sources(stores, stranger, ["run_a"]) == {}
    with pytest.raises(NotFound):
        await runs.log(stores, stranger, "run_a", Window(10))


async def test_the_log_pages_by_number(stores: Stores, scope_of: ScopeOf) -> None:
    """Entries in the order of their numbers, from either end."""
    scope = scope_of()
    for _ in range(3):
        await write(stores, scope, "run_a")
    first = await runs.log(stores, scope, "run_a", Window(4))
    assert [entry.number for entry in first.items] == [1, 2, 3, 4]
    assert first.has_next
    last = await runs.log(stores, scope, "run_a", Window(2, forward=False))
    assert [entry.number for entry in last.items] == [5, 6]
    rest = await runs.log(stores, scope, "run_a", Window(4, after=first.keys[-1]))
    assert [entry.number for entry in rest.items] == [5, 6]
    assert not rest.has_next


async def test_reading_runs_takes_the_right_and_a_bounded_list(stores: Stores, scope_of: ScopeOf) -> None:
    """Without runs:read every view is Forbidden; more than 1,000 ids are Invalid."""
    nobody = Scope.system("t_acme", Env.DEV, "test")
    nobody = type(nobody)(**{name: getattr(nobody, name) for name in nobody.__slots__} | {"rights": frozenset()})
    for verb in (runs.fetch, runs.counts, runs.sources):
        with pytest.raises(Forbidden):
            await verb(stores, nobody, ["run_a"])
        with pytest.raises(Invalid):
            await verb(stores, scope_of(), ["run_a"] * 1001)
    with pytest.raises(Forbidden):
        await runs.list_runs(stores, nobody, RunFilter(), Window(10))
    with pytest.raises(Forbidden):
        await runs.log(stores, nobody, "run_a", Window(10))
