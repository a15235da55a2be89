"""Research runs: opened, written and closed by one principal, and by nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from engines import everything_in

from nexus_graph import runs
from nexus_graph.scope.canonical import Json
from nexus_graph.scope.errors import Conflict, Forbidden, Invalid, NexusError, NotFound
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Env, Role, Scope
from nexus_graph.stores.journal import Event, RunKind, RunStatus, Severity
from nexus_graph.stores.paging import Window
from nexus_graph.stores.repeating import Once
from nexus_graph.stores.work import Stores

ScopeOf = Callable[..., Scope]


@pytest.fixture
def agent(scope_of: ScopeOf) -> Scope:
    """An agent of Acme."""
    return scope_of(role=Role.AGENT, who="key_1")


async def test_an_agent_opens_writes_and_closes_a_run(stores: Stores, agent: Scope) -> None:
    """The run's life is three kinds of entries, and its status follows them."""
    run = await runs.open_run(stores, agent, "  Which returns rise?  ")
    assert (run.kind, run.status, run.title, run.entries) == (
        RunKind.RESEARCH,
        RunStatus.RUNNING,
        "Which returns rise?",
        1,
    )
    entry = await runs.append_entry(stores, agent, run.run_id, "Read 3 cards.", {"cards": 3}, Severity.WARNING)
    assert (entry.action, entry.number, entry.severity) == ("run.noted", 2, Severity.WARNING)
    assert entry.payload == {"input": {"text": "Read 3 cards.", "data": {"cards": 3}}}
    closed = await runs.close_run(stores, agent, run.run_id, RunStatus.SUCCEEDED)
    assert (closed.status, closed.entries, closed.ended_at is not None) == (RunStatus.SUCCEEDED, 3, True)
    log = await runs.log(stores, agent, run.run_id, Window(10))
    assert [item.action for item in log.items] == ["run.opened", "run.noted", "run.closed"]


async def test_title_text_and_data_are_redacted_before_they_are_stored(stores: Stores, agent: Scope) -> None:
    """An e-mail address never reaches the file, and the entry is flagged."""
    secret = "ada.lovelace@analytical.example.com"
    run = await runs.open_run(stores, agent, f"Ask {secret}")
    entry = await runs.append_entry(stores, agent, run.run_id, f"Wrote to {secret}", {secret: [secret]})
    assert run.title == "Ask [email]"
    assert entry.payload == {"input": {"text": "Wrote to [email]", "data": {"[email]": ["[email]"]}}}
    assert entry.handling == Handling(("email",), train_ok=False)
    assert secret not in await everything_in(stores)


async def test_a_closed_run_takes_nothing_more(stores: Stores, agent: Scope) -> None:
    """Entries and a second end are Conflicts, and the run stays what it was."""
    run = await runs.open_run(stores, agent, "one")
    await runs.close_run(stores, agent, run.run_id, RunStatus.FAILED)
    with pytest.raises(Conflict):
        await runs.append_entry(stores, agent, run.run_id, "late")
    with pytest.raises(Conflict):
        await runs.close_run(stores, agent, run.run_id, RunStatus.SUCCEEDED)
    assert (await runs.fetch(stores, agent, [run.run_id]))[run.run_id].status is RunStatus.FAILED


async def test_nobody_else_writes_into_a_run(stores: Stores, scope_of: ScopeOf, agent: Scope) -> None:
    """Who can see it is Forbidden, the owner; who can't gets NotFound: another agent, the same id elsewhere."""
    run = await runs.open_run(stores, agent, "mine")
    refused: list[tuple[Scope, type[NexusError]]] = [
        (scope_of(role=Role.OWNER), Forbidden),
        (scope_of(role=Role.AGENT, who="key_2"), NotFound),
        (scope_of("t_globex", Role.AGENT, who="key_1"), NotFound),
        (scope_of(role=Role.AGENT, env=Env.PROD, who="key_1"), NotFound),
    ]
    for scope, error in refused:
        with pytest.raises(error):
            await runs.append_entry(stores, scope, run.run_id, "intruder")
        with pytest.raises(error):
            await runs.close_run(stores, scope, run.run_id, RunStatus.FAILED)
    assert (await runs.fetch(stores, agent, [run.run_id]))[run.run_id].entries == 1


async def test_the_engines_own_runs_take_no_notes(stores: Stores, scope_of: ScopeOf) -> None:
    """A run of another kind is not for writing, even for who started it."""
    scope = scope_of()
    async with stores.work(scope, RunKind.PUBLISH, run_id="run_1") as work:
        work.record(Event("card.published", "card", "c", redact({}), Handling((), train_ok=False), ends=None))
    with pytest.raises(Forbidden):
        await runs.append_entry(stores, scope, "run_1", "note")


BAD: list[tuple[str | None, Any]] = [
    (None, None),
    ("x" * (16 * 1024 + 1), None),
    ("é" * (8 * 1024 + 1), None),
    ("\ud800", None),
    (None, {"x": "y" * (64 * 1024)}),
    (None, float("nan")),
    (None, 2**53),
    (None, {"\udfff": 1}),
]


@pytest.mark.parametrize(("text", "data"), BAD)
async def test_what_is_too_much_or_no_json_is_invalid(
    stores: Stores, agent: Scope, text: str | None, data: Json
) -> None:
    """Nothing, too many bytes, half surrogates, NaN and huge integers are refused and nothing is written."""
    run = await runs.open_run(stores, agent, "one")
    with pytest.raises(Invalid):
        await runs.append_entry(stores, agent, run.run_id, text, data)
    assert (await runs.fetch(stores, agent, [run.run_id]))[run.run_id].entries == 1


@pytest.mark.parametrize("depth", [100, 30_000])
async def test_data_nested_too_deep_is_invalid(stores: Stores, agent: Scope, depth: int) -> None:
    """Depth ends in a clear error, not in a broken stack."""
    data: Json = 0
    for _ in range(depth):
        data = [data]
    run = await runs.open_run(stores, agent, "one")
    with pytest.raises(Invalid):
        await runs.append_entry(stores, agent, run.run_id, None, data)


async def test_the_largest_entry_fits(stores: Stores, agent: Scope) -> None:
    """Exactly 16 KiB of text and 64 KiB of JSON are taken."""
    run = await runs.open_run(stores, agent, "one")
    data = "y" * (64 * 1024)
    entry = await runs.append_entry(stores, agent, run.run_id, "x" * 16 * 1024, data)
    assert entry.payload == {"input": {"text": "x" * 16 * 1024, "data": data}}


@pytest.mark.parametrize("title", ["", "   ", "x" * 201, "\ud800"])
async def test_a_title_has_1_to_200_characters(stores: Stores, agent: Scope, title: str) -> None:
    """Empty, blank, too long and unwritable titles are refused."""
    with pytest.raises(Invalid):
        await runs.open_run(stores, agent, title)


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.REFUSED])
async def test_a_run_is_closed_as_succeeded_or_failed_only(stores: Stores, agent: Scope, status: RunStatus) -> None:
    """An end that is no end is refused."""
    run = await runs.open_run(stores, agent, "one")
    with pytest.raises(Invalid):
        await runs.close_run(stores, agent, run.run_id, status)


async def test_the_same_idempotency_key_does_it_once(stores: Stores, agent: Scope) -> None:
    """Repeated open, append and close answer as the first time, also after the run has ended."""
    opened = [await runs.open_run(stores, agent, "one", once=Once("open", {"verb": "open"})) for _ in range(3)]
    assert len({run.run_id for run in opened}) == 1
    run_id = opened[0].run_id
    note = Once("note", {"verb": "append"})
    first = await runs.append_entry(stores, agent, run_id, "a", once=note)
    await runs.append_entry(stores, agent, run_id, "b")
    assert await runs.append_entry(stores, agent, run_id, "a", once=note) == first
    close = Once("close", {"verb": "close"})
    closed = [await runs.close_run(stores, agent, run_id, RunStatus.SUCCEEDED, once=close) for _ in range(2)]
    assert closed[0] == closed[1]
    assert await runs.append_entry(stores, agent, run_id, "a", once=note) == first
    assert closed[0].entries == 4
    with pytest.raises(Conflict):
        await runs.append_entry(stores, agent, run_id, "c", once=Once("note", {"verb": "other"}))


async def test_entries_appended_at_once_each_get_their_own_number(stores: Stores, agent: Scope) -> None:
    """Fifty concurrent entries are numbered 2 to 51, and each caller gets back its own."""
    run = await runs.open_run(stores, agent, "one")
    entries = await asyncio.gather(
        *(runs.append_entry(stores, agent, run.run_id, f"note {place}") for place in range(50))
    )
    assert sorted(entry.number for entry in entries) == list(range(2, 52))
    for place, entry in enumerate(entries):
        assert entry.payload == {"input": {"text": f"note {place}"}}


async def test_only_who_opened_a_run_ends_it(stores: Stores, agent: Scope) -> None:
    """What other verbs and followers record into a research run never ends it, whatever their events say."""
    run = await runs.open_run(stores, agent, "one")
    published = Event("card.published", "card", "c", redact({}), Handling((), train_ok=False))
    async with stores.work(replace(agent, run_id=run.run_id), RunKind.PUBLISH) as work:
        work.record(published)
    async with stores.work(Scope.system("t_acme", Env.DEV, "follower:index"), RunKind.INDEX, run_id=run.run_id) as work:
        work.record(replace(published, action="card.indexed"))
    still = (await runs.fetch(stores, agent, [run.run_id]))[run.run_id]
    assert (still.status, still.entries, still.kind) == (RunStatus.RUNNING, 3, RunKind.RESEARCH)
    await runs.close_run(stores, replace(agent, run_id=run.run_id), run.run_id, RunStatus.SUCCEEDED)
    assert (await runs.rebuild_check(stores, agent))[1] == ()


async def test_a_scope_in_a_run_opens_another_one(stores: Stores, agent: Scope) -> None:
    """Opening a run while naming one makes a run of its own."""
    run = await runs.open_run(stores, agent, "one")
    second = await runs.open_run(stores, replace(agent, run_id=run.run_id), "two")
    assert second.run_id != run.run_id
    assert second.entries == 1


async def test_writing_takes_the_right(stores: Stores, agent: Scope) -> None:
    """Without runs:write nothing is opened, written or closed."""
    run = await runs.open_run(stores, agent, "one")
    powerless = replace(agent, rights=frozenset())
    with pytest.raises(Forbidden):
        await runs.open_run(stores, powerless, "two")
    with pytest.raises(Forbidden):
        await runs.append_entry(stores, powerless, run.run_id, "x")
    with pytest.raises(Forbidden):
        await runs.close_run(stores, powerless, run.run_id, RunStatus.FAILED)
