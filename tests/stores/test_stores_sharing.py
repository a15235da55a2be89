"""Shared reads: one answer for all who asked before it was read, never an older one."""

from __future__ import annotations

import asyncio

import pytest

from nexus_graph.stores.sharing import SharedReads


async def test_a_hundred_who_ask_at_once_cost_one_read() -> None:
    """Equal questions of the same moment share a read; another question has its own."""
    shared, reads = SharedReads(), list[str]()

    async def read(name: str) -> str:
        reads.append(name)
        await asyncio.sleep(0)
        return name

    asked = [shared.once("a", lambda: read("a")) for _ in range(100)] + [shared.once("b", lambda: read("b"))]
    assert await asyncio.gather(*asked) == ["a"] * 100 + ["b"]
    assert sorted(reads) == ["a", "b"]


async def test_who_comes_during_a_read_gets_the_next_one() -> None:
    """An answer that began before the question was asked is never given: it might lack what happened in between."""
    shared, truth, entered, go_on = SharedReads(), 1, asyncio.Event(), asyncio.Event()

    async def read() -> int:
        seen = truth
        entered.set()
        await go_on.wait()
        return seen

    early = asyncio.create_task(shared.once("a", read))
    await asyncio.wait_for(entered.wait(), 5)
    truth = 2
    late = [asyncio.create_task(shared.once("a", read)) for _ in range(3)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.wait_for(early, 5) == 1
    assert await asyncio.wait_for(asyncio.gather(*late), 5) == [2, 2, 2]


async def test_errors_are_shared_and_the_next_question_begins_anew() -> None:
    """A failed read fails all who shared it, and nobody after."""
    shared, failures = SharedReads(), [ValueError("once")]

    async def read() -> str:
        if failures:
            raise failures.pop()
        return "well"

    outcomes = await asyncio.gather(*[shared.once("a", read) for _ in range(3)], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
    assert await shared.once("a", read) == "well"


async def test_one_who_leaves_does_not_take_the_answer_away() -> None:
    """Cancelling one of those who asked leaves the read and the others alone."""
    shared, go_on = SharedReads(), asyncio.Event()

    async def read() -> str:
        await go_on.wait()
        return "well"

    leaving, staying = (asyncio.create_task(shared.once("a", read)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go_on.set()
    assert await asyncio.wait_for(staying, 5) == "well"
