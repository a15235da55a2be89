"""A handle that remembers asks each question once, and a work that tells reads what it has just recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nexus_graph.scope.handling import Handling
from nexus_graph.scope.redaction import redact
from nexus_graph.scope.scope import Scope
from nexus_graph.stores.journal import Event, RunKind
from nexus_graph.stores.remembering import Remembering
from nexus_graph.stores.statement import Statement
from nexus_graph.stores.work import Read, Stores

ScopeOf = Callable[..., Scope]
COUNT = Statement("select count(*) from journal_events where tenant_id = :tenant_id and env = :env")
AFTER = Statement("select seq from journal_events where tenant_id = :tenant_id and env = :env and seq in (:seqs...)")


def noted(number: int) -> Event:
    """An event that ends nothing."""
    return Event("test.noted", "test", str(number), redact({}), Handling((), train_ok=False), ends=None)


async def test_a_question_is_asked_once(stores: Stores, scope_of: ScopeOf) -> None:
    """Equal statements with equal values have one answer; other values are another question."""
    async with stores.work(scope_of(), RunKind.ADMIN) as work:
        remembering = Remembering(work)
        assert await remembering.value(COUNT) == 0
        work.record(noted(1))
        await work.tell()
        assert (await work.value(COUNT), await remembering.value(COUNT)) == (1, 0)
        assert await remembering.value(AFTER, seqs=[1]) == 1
        assert await remembering.value(AFTER, seqs=[2]) is None
        assert await remembering.value(AFTER, seqs=[1]) == 1


async def test_what_is_told_is_read_at_once_and_appended_once(stores: Stores, scope_of: ScopeOf) -> None:
    """Before and after telling, events keep their order and the chain holds; a rehearsal leaves none."""
    scope = scope_of()

    async def told(read: Read) -> tuple[int, object]:
        return await read.value(COUNT), (await read.verify_journal())[1]

    for rehearsal, kept in ((True, 0), (False, 3)):
        async with stores.work(replace(scope, rehearsal=rehearsal), RunKind.ADMIN) as work:
            work.record(noted(1))
            await work.tell()
            assert (work.seq, await work.value(COUNT)) == (1, 1)
            work.record(noted(2))
            work.record(noted(3))
        assert work.seq == 3
        async with stores.read(scope) as read:
            assert await told(read) == (kept, None)
